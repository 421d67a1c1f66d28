"""Writes the smallest .xlsx that a reader takes, for tests of what reads spreadsheets."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"


def write_xlsx(path: Path, sheets: Mapping[str, Sequence[Sequence[object]]]) -> Path:
    """Write sheets of text, numbers, truths and empty cells (None)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = range(1, len(sheets) + 1)
    named = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in zip(numbers, sheets, strict=True)
    )
    joined = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
    )
    root = f'<Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("_rels/.rels", f'<Relationships xmlns="{RELATIONS}">{root}</Relationships>')
        file.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{named}</sheets></workbook>'
        )
        file.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{RELATIONS}">{joined}</Relationships>')
        for number, rows in zip(numbers, sheets.values(), strict=True):
            body = "".join(f'<row r="{n}">{_cells(n, row)}</row>' for n, row in enumerate(rows, start=1))
            file.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>',
            )
    return path


def _cells(number: int, row: Sequence[object]) -> str:
    placed = ((f"{chr(ord('A') + at)}{number}", value) for at, value in enumerate(row) if value is not None)
    return "".join(_cell(place, value) for place, value in placed)


def _cell(place: str, value: object) -> str:
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(str(value))}</t></is></c>'
