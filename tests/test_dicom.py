"""DICOM: each pixel is what the standard says it is, and what cannot be decoded rightly is refused with a reason."""

from __future__ import annotations

import io
import struct
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, get_decoder, get_encoder

from featx import dicom, images
from featx.errors import ImageError
from featx.images import Transform, decode

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (64, 72), dtype=np.uint8)
WIDE = RNG.integers(0, 4096, (64, 72), dtype=np.uint16)
COLOUR = RNG.integers(0, 256, (64, 72, 3), dtype=np.uint8)
SYNTAX = uid.ExplicitVRLittleEndian


def built(pixels, *, syntax=SYNTAX, frames=None, stored=None, **elements):
    """Return a dataset of one picture; with ``frames``, of encoded ones."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = uid.SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = stored or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = encapsulate(frames) if frames else data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if frames or dataset.BitsAllocated == 8 else "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def written(dataset):
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def file(pixels, **elements):
    return written(built(pixels, **elements))


def grey(data):
    found = np.asarray(decode(data))
    assert (found == found[..., :1]).all()
    return found[..., 0]


def row(*values, kind=np.int16):
    return np.array([values], kind)


def sequence(**elements):
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return [item]


def table(first, entries, *, bits, kind="OW", packed=False):
    """Return an item of a sequence that holds a look-up table."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    data = np.asarray(entries, np.uint8 if packed else "<u2").tobytes()
    item.add_new("LUTData", kind, list(entries) if kind == "US" else data + b"\0" * (len(data) % 2))
    return [item]


def refused(data):
    with pytest.raises(ImageError) as caught:
        decode(data)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def palette(entries, *, first=0, bits=16, segmented=False):
    """Return the elements of a palette, ``entries`` being one array of 16-bit words or bytes for each colour."""
    found = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, words in zip(("Red", "Green", "Blue"), entries, strict=True):
        count = segmented or len(words)
        found[f"{colour}PaletteColorLookupTableDescriptor"] = [count % 65536, first, bits]
        found[f"{'Segmented' * bool(segmented)}{colour}PaletteColorLookupTableData"] = words.tobytes()
    return found


def kinds():
    """Return one file of each way to store pixels."""
    plain = [built(WIDE, stored=12, WindowCenter=700, WindowWidth=900), built(COLOUR)]
    tables = [built(GREY, **palette(RNG.integers(0, 65536, (3, 256)).astype("<u2")))]
    codes = []
    for syntax in (uid.RLELossless, uid.JPEG2000Lossless):
        codes.append(built(GREY))
        codes[-1].compress(syntax, GREY, generate_instance_uid=False)
    return [written(dataset) for dataset in plain + tables + codes]


FILES = kinds()

# grey without a window: the range of the stored bits


def test_eight_bits_come_back_as_they_are():
    np.testing.assert_array_equal(grey(file(GREY)), GREY)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_without_a_window_the_stored_bits_are_the_range_and_not_the_picture(bits):
    found = grey(file(row(0, 100, 512, 1023, kind=np.uint16), stored=bits))
    np.testing.assert_array_equal(found[0], np.rint(np.array([0, 100, 512, 1023]) * 255 / (2**bits - 1)))


def test_signed_pixels_reach_from_the_lowest_to_the_highest():
    np.testing.assert_array_equal(grey(file(row(-2048, -1, 0, 2047), stored=12)), [[0, 127, 128, 255]])


def test_monochrome1_is_inverted():
    np.testing.assert_array_equal(grey(file(GREY, PhotometricInterpretation="MONOCHROME1")), 255 - GREY)


def test_unused_bits_are_not_looked_at():
    dirty = WIDE | np.uint16(0xA000)
    np.testing.assert_array_equal(grey(file(dirty, stored=12)), grey(file(WIDE, stored=12)))


@pytest.mark.parametrize(("slope", "expected"), [(2, [0, 255]), (-2, [255, 0])])
def test_a_rescaled_range_is_the_range_and_a_negative_slope_inverts(slope, expected):
    data = file(row(0, 4095, kind=np.uint16), stored=12, RescaleSlope=slope, RescaleIntercept=-1000)
    np.testing.assert_array_equal(grey(data)[0], expected)


def test_bits_that_are_packed_are_black_and_white():
    bits = RNG.integers(0, 2, (5, 7), dtype=np.uint8)
    data = np.packbits(bits.ravel(), bitorder="little").tobytes()
    found = grey(file(bits, stored=1, BitsAllocated=1, PixelData=data + b"\0"))
    np.testing.assert_array_equal(found, 255 * bits)


def test_thirty_two_bits_are_scaled_too():
    data = file(row(0, 2**31, 2**32 - 1, kind=np.uint32))
    np.testing.assert_array_equal(grey(data), [[0, 128, 255]])


# windows


def test_a_window_of_hounsfield_units_by_hand():
    # (x - 39.5) / 399 + 0.5, from -160 (black) to 239 (white)
    units = row(-1024, -160, -60, 40, 239, 240, 3000)
    data = file(
        (units + 1024).astype(np.uint16),
        stored=12,
        **{"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400},
    )
    np.testing.assert_array_equal(grey(data), [[0, 0, 64, 128, 255, 255, 255]])


@pytest.mark.parametrize(
    ("function", "expected"),
    [("LINEAR_EXACT", [0, 64, 128, 191, 255]), ("SIGMOID", [30, 69, 128, 186, 225])],
)
def test_other_functions_of_a_window_by_hand(function, expected):
    # exact: (x - 128) / 256 + 0.5; sigmoid: 1 / (1 + exp(-4 (x - 128) / 256))
    data = file(row(0, 64, 128, 192, 256), WindowCenter=128, WindowWidth=256, VOILUTFunction=function)
    np.testing.assert_array_equal(grey(data)[0], expected)


def test_of_several_windows_the_first_counts():
    both = file(WIDE, WindowCenter=[100, 3000], WindowWidth=[50, 2000])
    np.testing.assert_array_equal(grey(both), grey(file(WIDE, WindowCenter=100, WindowWidth=50)))


def test_a_window_of_width_one_is_a_threshold():
    data = file(row(9, 10, 11), WindowCenter=10, WindowWidth=1)
    np.testing.assert_array_equal(grey(data), [[0, 255, 255]])


def test_an_empty_window_is_none():
    data = file(WIDE, stored=12, WindowCenter=None, WindowWidth=None)
    np.testing.assert_array_equal(grey(data), grey(file(WIDE, stored=12)))


@settings(deadline=None, max_examples=80)
@given(
    signed=st.booleans(),
    inverted=st.booleans(),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    slope=st.sampled_from([0.5, 1, 3.25]),
    intercept=st.integers(-2000, 2000),
    centre=st.integers(-5000, 9000),
    width=st.integers(1, 9000),
    seed=st.integers(0, 99),
)
def test_any_window_is_that_of_pydicom(signed, inverted, function, slope, intercept, centre, width, seed):
    low = -2048 if signed else 0
    pixels = np.random.default_rng(seed).integers(low, low + 4096, (4, 5)).astype(np.int16 if signed else np.uint16)
    dataset = built(
        pixels,
        stored=12,
        **{"PhotometricInterpretation": "MONOCHROME1" if inverted else "MONOCHROME2", "VOILUTFunction": function},
        **{"RescaleSlope": slope, "RescaleIntercept": intercept, "WindowCenter": centre, "WindowWidth": width},
    )
    with np.errstate(over="ignore"):
        shown = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset)
    expected = (shown - (low * slope + intercept)) / (4095 * slope) * 255
    expected = 255 - expected if inverted else expected
    assert np.abs(grey(written(dataset)) - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"WindowCenter": 1, "WindowWidth": 0}, "decode_error"),
        ({"WindowCenter": 1, "WindowWidth": 0.5}, "decode_error"),
        ({"WindowCenter": 1, "WindowWidth": 2, "VOILUTFunction": "CUBIC"}, "unsupported_mode"),
        ({"RescaleSlope": 0, "RescaleIntercept": 7}, "decode_error"),
        ({"RescaleSlope": "1e300", "RescaleIntercept": 0, "WindowCenter": 1, "WindowWidth": "1e-300"}, "decode_error"),
    ],
)
def test_a_window_or_slope_that_means_nothing_is_refused(elements, reason):
    assert refused(file(WIDE, **elements)) == reason


@pytest.mark.parametrize("number", [b"nan ", b"inf ", b"1,5 ", b"wide"])
def test_a_window_that_is_no_number_is_refused(number):
    data = file(WIDE, WindowCenter=1, WindowWidth="1.75").replace(b"1.75", number)
    assert refused(data) == "decode_error"


# tables


@pytest.mark.parametrize("kind", ["US", "OW"])
def test_a_modality_table_is_looked_up_and_its_bits_are_the_range(kind):
    lut = table(10, [0, 1000, 65535], bits=16, kind=kind)
    data = file(row(0, 10, 11, 12, 99, kind=np.uint16), ModalityLUTSequence=lut)
    np.testing.assert_array_equal(grey(data), [[0, 0, 4, 255, 255]])


def test_a_voi_table_comes_before_a_window():
    lut = table(-2, [4095, 2048, 0], bits=12)
    data = file(row(-5, -2, -1, 0, 5), VOILUTSequence=lut, WindowCenter=0, WindowWidth=3)
    np.testing.assert_array_equal(grey(data), [[255, 255, 128, 0, 0]])


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_of_more_than_256_entries_of_8_bits_does_not_wrap(packed):
    entries = np.linspace(0, 255, 4096).astype(np.uint8)
    data = file(WIDE, stored=12, VOILUTSequence=table(0, entries, bits=8, packed=packed))
    np.testing.assert_array_equal(grey(data), entries[WIDE])


def test_a_table_after_a_slope_takes_the_rescaled_value():
    data = file(
        row(0, 1, 2, kind=np.uint16),
        RescaleSlope=10,
        RescaleIntercept=-10,
        VOILUTSequence=table(-10, list(range(0, 210, 10)), bits=8),
    )
    np.testing.assert_array_equal(grey(data), [[0, 100, 200]])


def test_a_table_shorter_than_it_says_is_refused():
    lut = table(0, [0, 1, 2], bits=16)
    lut[0].LUTDescriptor = [4, 0, 16]
    assert refused(file(WIDE, VOILUTSequence=lut)) == "decode_error"


@pytest.mark.parametrize("where", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
def test_an_enhanced_file_has_its_values_in_the_groups_of_its_frames(where):
    group = sequence(
        PixelValueTransformationSequence=sequence(RescaleSlope=2, RescaleIntercept=-100),
        FrameVOILUTSequence=sequence(WindowCenter=700, WindowWidth=900),
    )
    plain = {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": 700, "WindowWidth": 900}
    np.testing.assert_array_equal(grey(file(WIDE, **{where: group})), grey(file(WIDE, **plain)))


# colour


@pytest.mark.parametrize("planar", [0, 1])
def test_rgb_comes_back_as_it_is(planar):
    data = np.moveaxis(COLOUR, 2, 0) if planar else COLOUR
    found = decode(file(COLOUR, PlanarConfiguration=planar, PixelData=data.tobytes()))
    np.testing.assert_array_equal(found, COLOUR)


@pytest.mark.parametrize("bits", [12, 16])
def test_wide_rgb_is_scaled_by_its_bits(bits):
    wide = RNG.integers(0, 2**bits, (6, 9, 3)).astype(np.uint16)
    found = np.asarray(decode(file(wide, stored=bits)))
    np.testing.assert_array_equal(found, np.rint(wide / (2**bits - 1) * 255))


def test_ybr_is_converted():
    red = np.full((4, 4, 3), (76, 85, 255), np.uint8)  # JFIF: y, b, r of pure red
    found = np.asarray(decode(file(red, PhotometricInterpretation="YBR_FULL"))).astype(int)
    assert np.abs(found - [254, 0, 0]).max() <= 1


def test_subsampled_ybr_is_converted():
    # y1 y2 b r for each pair of pixels: grey, for b and r are 128
    pair = np.tile(np.array([[50, 200, 128, 128]], np.uint8), (4, 2))
    data = file(np.zeros((4, 4, 3), np.uint8), PhotometricInterpretation="YBR_FULL_422", PixelData=pair.tobytes())
    np.testing.assert_array_equal(grey(data), np.tile([50, 200, 50, 200], (4, 1)))


@pytest.mark.parametrize(("kind", "bits", "count"), [("<u2", 16, 256), ("<u2", 16, 65536), ("u1", 8, 256)])
def test_a_palette_is_looked_up(kind, bits, count):
    pixels = RNG.integers(0, count, (6, 9)).astype(np.uint16 if count > 256 else np.uint8)
    entries = RNG.integers(0, 2**bits, (3, count)).astype(kind)
    dataset = built(pixels, **palette(entries, bits=bits))
    found = np.asarray(decode(written(dataset)))
    np.testing.assert_array_equal(found, np.rint(entries[:, pixels].transpose(1, 2, 0) / (2**bits - 1) * 255))
    looked_up = apply_color_lut(pixels, dataset)
    np.testing.assert_array_equal(found, np.rint(looked_up / (2**bits - 1) * 255))


def test_a_palette_starts_at_its_first_value_and_ends_with_its_last():
    entries = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], "<u2") * 257
    found = np.asarray(decode(file(row(0, 9, 10, 11, 12, 255, kind=np.uint8), **palette(entries, first=10))))
    np.testing.assert_array_equal(found[0, :, 0], [1, 1, 1, 2, 3, 3])


def test_a_palette_of_many_colours_of_8_bits_does_not_wrap():
    entries = np.repeat(np.linspace(0, 255, 4096).astype(np.uint8)[None], 3, axis=0)
    np.testing.assert_array_equal(grey(file(WIDE, **palette(entries, bits=8))), entries[0][WIDE])


def test_a_segmented_palette_is_expanded_as_pydicom_does_it():
    words = np.array([0, 2, 100, 300, 1, 200, 65000, 1, 54, 17], "<u2")  # two values, then two lines
    dataset = built(GREY, **palette([words] * 3, segmented=256))
    found = np.asarray(decode(written(dataset)))
    np.testing.assert_array_equal(found, np.rint(apply_color_lut(GREY, dataset) / 257))


@pytest.mark.parametrize("words", [[0, 1, 5, 2, 1, 0, 0], [1, 5, 9, 0, 0, 0], [7, 7, 7]])
def test_a_segment_that_points_at_others_or_starts_from_nothing_is_refused(words):
    entries = [np.array(words, "<u2")] * 3
    assert refused(file(GREY, **palette(entries, segmented=256))) == "unsupported_mode"


def test_a_segmented_palette_does_not_grow_beyond_its_count():
    words = [0, 1, 5] + [1, 65535, 9] * 1000
    assert len(dicom._expanded(words, 256)) < 2**17


def test_a_palette_that_lacks_a_colour_is_refused():
    elements = palette(np.zeros((3, 256), "<u2"))
    del elements["GreenPaletteColorLookupTableData"]
    assert refused(file(GREY, **elements)) == "decode_error"


# frames and compression


def test_of_several_frames_the_first_is_taken():
    frames = np.stack([GREY, 255 - GREY])
    np.testing.assert_array_equal(grey(file(GREY, NumberOfFrames=2, PixelData=frames.tobytes())), GREY)


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEG2000Lossless])
@pytest.mark.parametrize("kind", ["8 bits", "12 bits", "signed", "colour"])
def test_a_lossless_code_changes_no_pixel(syntax, kind):
    pixels = {"8 bits": GREY, "12 bits": WIDE, "signed": WIDE.astype(np.int16) - 2048, "colour": COLOUR}[kind]
    plain = built(pixels, stored=12 if pixels.itemsize == 2 else 8)
    if syntax == uid.JPEG2000Lossless and kind == "colour":
        plain.PhotometricInterpretation = "YBR_RCT"
    expected = COLOUR if kind == "colour" else decode(written(plain))
    plain.compress(syntax, pixels, generate_instance_uid=False)
    np.testing.assert_array_equal(decode(written(plain)), expected)


def rle(pixels):
    dataset = built(pixels)
    return get_encoder(uid.RLELossless).encode(dataset)


@pytest.mark.parametrize("offsets", [False, True])
def test_only_the_first_frame_is_decoded(offsets):
    frames = [rle(GREY), b"no code of anything, and longer than the first"]
    dataset = built(GREY, syntax=uid.RLELossless, frames=frames, NumberOfFrames=2)
    if offsets:
        from pydicom.encaps import encapsulate_extended

        found = encapsulate_extended(frames)
        dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = found
    np.testing.assert_array_equal(grey(written(dataset)), GREY)


def jpeg(image):
    stream = io.BytesIO()
    image.save(stream, "JPEG")
    return stream.getvalue()


def test_a_jpeg_inside_is_decoded_as_pillow_decodes_it():
    inner = jpeg(Image.fromarray(GREY))
    found = grey(file(GREY, syntax=uid.JPEGBaseline8Bit, frames=[inner]))
    np.testing.assert_array_equal(found, np.asarray(Image.open(io.BytesIO(inner))))


def test_a_jpeg_of_colours_is_decoded():
    flat = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    inner = jpeg(Image.fromarray(flat))
    data = file(flat, syntax=uid.JPEGBaseline8Bit, frames=[inner], PhotometricInterpretation="YBR_FULL_422")
    assert np.abs(np.asarray(decode(data)).astype(int) - flat).max() <= 3


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_other_orders_of_bytes_give_the_same_pixels(syntax):
    entries = np.arange(4096) * 16
    dataset = built(WIDE, syntax=syntax, VOILUTSequence=table(0, entries, bits=16))
    if syntax == uid.ExplicitVRBigEndian:
        dataset.PixelData = WIDE.astype(">u2").tobytes()
        dataset.VOILUTSequence[0].LUTData = entries.astype(">u2").tobytes()
    np.testing.assert_array_equal(grey(written(dataset)), np.rint(entries[WIDE] * 255 / 65535))


@pytest.mark.parametrize(("kind", "bits"), [("<u2", 16), ("u1", 8)])
def test_a_big_endian_palette_is_read_in_its_order(kind, bits):
    entries = RNG.integers(0, 2**bits, (3, 256)).astype(kind)
    swapped = entries.view("<u2").byteswap()
    dataset = built(GREY, syntax=uid.ExplicitVRBigEndian, **palette(entries, bits=bits))
    for colour, words in zip(dicom.COLOURS, swapped, strict=True):
        setattr(dataset, f"{colour}PaletteColorLookupTableData", words.tobytes())
    dataset["PixelData"].VR = "OB"
    np.testing.assert_array_equal(decode(written(dataset)), decode(file(GREY, **palette(entries, bits=bits))))


# what is kept, and how it is found


def test_nothing_of_the_patient_is_read():
    dataset = built(GREY, PatientName="Doe^Jane", PatientID="1234", StudyDate="20200101")
    dataset.private_block(0x0019, "SOMEONE", create=True).add_new(0x01, "LO", "secret")
    data = written(dataset)
    found = decode(data)
    np.testing.assert_array_equal(np.asarray(found)[..., 0], GREY)
    assert not found.info
    read = dicom._read(data)
    assert {element.keyword for element in read} <= set(dicom.ELEMENTS)
    assert "Doe" not in str(read)


def test_the_preamble_decides_and_not_the_ending(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(file(GREY))
    np.testing.assert_array_equal(grey(images.read(path).data), GREY)


def test_the_endings_of_dicom_are_those_of_images():
    assert {".dcm", ".dicom"} <= set(images.SUFFIXES)


def test_a_transform_takes_dicom():
    assert Transform(8)(file(GREY)).shape == (8, 8, 3)


def test_without_pydicom_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImageError, match=r"pip install 'featx\[dicom\]'") as caught:
        decode(FILES[0])
    assert caught.value.reason == "unreadable"
    assert len(str(caught.value)) <= 78  # what the cache keeps of a reason


def test_other_images_want_no_pydicom(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    stream = io.BytesIO()
    Image.fromarray(COLOUR).save(stream, "PNG")
    np.testing.assert_array_equal(decode(stream.getvalue()), COLOUR)


@pytest.mark.parametrize(
    ("syntax", "package"), [(uid.JPEGLossless, "python-gdcm"), (uid.JPEG2000Lossless, r"'featx\[dicom\]'")]
)
def test_a_missing_decoder_is_named(syntax, package, monkeypatch):
    inner = get_encoder(uid.JPEG2000Lossless).encode(built(GREY))
    monkeypatch.setattr(get_decoder(syntax), "_available", {})
    with pytest.raises(ImageError, match=f"pip install {package}") as caught:
        decode(file(GREY, syntax=syntax, frames=[inner]))
    assert caught.value.reason == "unreadable"


# warnings


def padded():
    """Return a file of which pydicom warns: more bytes than pixels."""
    return file(GREY, PixelData=GREY.tobytes() + bytes(10))


def test_pydicom_does_warn_of_the_file_of_the_next_test():
    with pytest.warns(UserWarning, match="excess padding"):
        _ = pydicom.dcmread(io.BytesIO(padded())).pixel_array


def test_no_warning_leaks_and_no_filter_is_left():
    before = list(warnings.filters)
    data = padded()
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(grey, [data] * 40):
            np.testing.assert_array_equal(found, GREY)
    assert list(warnings.filters) == before


# what is refused


def test_a_file_without_pixels_is_no_image():
    dataset = built(GREY)
    del dataset.PixelData
    assert refused(written(dataset)) == "not_an_image"


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused_as_such(kept):
    large = file(np.zeros((200, 200), np.uint8))
    assert refused(large[: int(len(large) * kept)]) == "truncated"


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEG2000Lossless])
@pytest.mark.parametrize("kept", [0.6, 0.9])
def test_a_truncated_compressed_file_is_refused(syntax, kept):
    noise = RNG.integers(0, 256, (100, 100), dtype=np.uint8)
    dataset = built(noise)
    dataset.compress(syntax, noise, generate_instance_uid=False)
    data = written(dataset)
    assert refused(data[: int(len(data) * kept)]) in ("truncated", "not_an_image")


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.95])
def test_a_frame_that_breaks_off_is_refused(kept):
    noise = RNG.integers(0, 256, (100, 100), dtype=np.uint8)
    for syntax in (uid.RLELossless, uid.JPEG2000Lossless):
        inner = get_encoder(syntax).encode(built(noise))
        assert refused(file(noise, syntax=syntax, frames=[inner[: int(len(inner) * kept)]])) == "decode_error"
    inner = jpeg(Image.fromarray(noise))
    half = inner[: int(len(inner) * kept)]
    assert refused(file(noise, syntax=uid.JPEGBaseline8Bit, frames=[half])) in ("truncated", "decode_error")


def test_a_header_alone_is_no_image():
    assert refused(file(GREY)[:140]) in ("not_an_image", "truncated", "decode_error")
    assert refused(bytes(128) + b"DICM") == "not_an_image"


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    from pydicom.pixels.decoders.base import Decoder

    monkeypatch.setattr(Decoder, "as_array", lambda *_, **__: pytest.fail("the bomb was decoded"))
    assert refused(file(GREY, Rows=60000, Columns=60000)) == "too_many_pixels"
    assert refused(file(GREY, Rows=9434, Columns=9434)) == "too_many_pixels"


@pytest.mark.parametrize("side", [3000, 60000])
def test_a_bomb_in_a_small_frame_is_refused_before_it_is_decoded(side, monkeypatch):
    from pydicom.pixels.decoders.base import Decoder

    monkeypatch.setattr(Decoder, "as_array", lambda *_, **__: pytest.fail("the bomb was decoded"))
    inner = bytearray(get_encoder(uid.JPEG2000Lossless).encode(built(GREY)))
    struct.pack_into(">II", inner, 8, side, side)  # Xsiz, Ysiz
    data = file(GREY, syntax=uid.JPEG2000Lossless, frames=[bytes(inner)])
    assert refused(data) == ("too_many_pixels" if side == 60000 else "decode_error")


def test_a_box_without_length_does_not_hang():
    # pydicom 3.0 never comes back from this file
    stream = io.BytesIO()
    Image.fromarray(GREY).save(stream, "JPEG2000", no_jp2=False)
    boxes = stream.getvalue()
    at = boxes.index(b"jp2c") - 4
    assert np.array_equal(grey(file(GREY, syntax=uid.JPEG2000Lossless, frames=[boxes])), GREY)
    endless = boxes[:at] + b"\0\0\0\0free" + boxes[at:]
    with pytest.raises(ImageError, match="box of 0 bytes"):
        decode(file(GREY, syntax=uid.JPEG2000Lossless, frames=[endless]))


@pytest.mark.parametrize("lacking", dicom.NEEDED)
def test_a_file_that_lacks_what_is_needed_says_so(lacking):
    dataset = built(GREY)
    delattr(dataset, lacking)
    with pytest.raises(ImageError, match=lacking):
        decode(written(dataset))


def test_a_file_without_a_transfer_syntax_is_refused():
    data = file(GREY)
    assert refused(data.replace(b"\x02\0\x10\0UI", b"\x02\0\x11\0UI")) == "decode_error"


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"HighBit": 15, "stored": 12}, "unsupported_mode"),
        ({"PhotometricInterpretation": "YBR_PARTIAL_422"}, "unsupported_mode"),
        ({"PhotometricInterpretation": "HSV"}, "unsupported_mode"),
        ({"Rows": 0}, "decode_error"),
        ({"SamplesPerPixel": 2}, "decode_error"),
    ],
)
def test_pixels_of_an_unknown_kind_are_refused(elements, reason):
    assert refused(file(WIDE, **elements)) == reason


def test_colours_that_pydicom_does_not_convert_are_refused():
    assert refused(file(COLOUR, PhotometricInterpretation="YBR_ICT")) == "unsupported_mode"


def test_colours_of_32_bits_are_refused():
    assert refused(file(COLOUR.astype(np.uint32))) == "unsupported_mode"


def test_floating_point_pixels_are_refused():
    dataset = built(WIDE)
    del dataset.PixelData
    dataset.FloatPixelData = WIDE.astype("<f4").tobytes()
    assert refused(written(dataset)) == "unsupported_mode"


def test_a_deflated_file_is_refused_before_it_is_inflated(monkeypatch):
    import zlib

    data = file(GREY, syntax=uid.DeflatedExplicitVRLittleEndian)
    monkeypatch.setattr(zlib, "decompress", lambda *_, **__: pytest.fail("the file was inflated"))
    assert refused(data) == "unsupported_mode"


def test_a_film_is_refused():
    data = file(GREY, syntax=uid.MPEG2MPML, frames=[b"frames"])
    assert refused(data) == "unsupported_mode"


@settings(deadline=None, max_examples=200)
@given(which=st.integers(0, 4), at=st.integers(132, 10**5), value=st.integers(0, 255), cut=st.booleans())
def test_a_flipped_byte_gives_an_image_or_an_image_error(which, at, value, cut):
    data = bytearray(FILES[which])
    data[132 + at % (len(data) - 132)] = value
    if cut:
        del data[-(at % 200) :]
    try:
        assert decode(bytes(data)).mode == "RGB"
    except ImageError as error:
        assert error.reason.isidentifier()
