"""The child that writes a measurement report: `python -m huizhen.images.report_worker FD`, one per report.

The patient's names stand in a file that came from elsewhere; its header is opened under the bounds of every other file.
"""

import codecs
import json
import mmap
import os
import sys
import warnings
from typing import Any

_LARGEST = 64 * 1024 * 1024
_CPU_SECONDS = 20


def _warm() -> dict[str, Any]:
    """Everything that is imported or opened only when first used; an order that was carried out once."""
    from pydicom.charset import python_encoding

    from huizhen.images import report
    from huizhen.images.worker import _spot

    for name in {*python_encoding.values(), "utf-8-sig"}:
        codecs.lookup(name)
    on = {"class": "1.2.840.10008.5.1.4.1.1.2", "uid": "2.25.1", "series": "2.25.2"}
    group: dict[str, Any] = {
        "tracking": "2.25.3", "shape": "length", "author": "a", "label": "b", "on": on, "frame": 1, "volume": True,
        "graphic": "POLYLINE", "data": [0.0, 0.0, 1.0, 1.0], "value": {"amount": 1.5, "unit": "mm"}, "detector": True,
    }  # fmt: skip
    order: dict[str, Any] = {
        "uid": "2.25.4", "series": "2.25.5", "study": "2.25.2", "number": 1, "date": "20260101", "time": "000000",
        "offset": "+0800", "institution": "a", "observer": "王", "library": [on], "groups": [group],
    }  # fmt: skip
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"):
        report.write(order, _spot(syntax))
    return order


def main() -> int:
    warnings.simplefilter("ignore")
    from huizhen.images import report, wire
    from huizhen.images.worker import MEMORY
    from huizhen.inspection import worker
    from huizhen.inspection.verdict import Refused

    output = int(sys.argv[1])
    _warm()
    view = memoryview(mmap.mmap(0, os.fstat(0).st_size, access=mmap.ACCESS_READ))
    worker.confine(output, _LARGEST, memory=MEMORY, cpu=_CPU_SECONDS)
    order, header = wire.files(view)
    try:
        made = report.write(json.loads(bytes(order)), bytes(header))
    except Refused:
        os.write(1, b"refused\n")
        return 0
    with os.fdopen(worker.OUT, "wb", closefd=False) as target:
        target.write(made)
    os.write(1, b"done\n")
    return 0


if __name__ == "__main__":
    os._exit(main())
