"""Where the wheel takes packages from: ``featx.pipelines`` is the folder ``pipelines/`` at the top, in one copy.

Everything else stands in ``setup.cfg``, which cannot say both that packages are to be found and where one lies.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["featx*"]), "featx.pipelines"])
