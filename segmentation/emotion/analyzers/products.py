"""int8 products that come out the same on every processor."""

from functools import cache
from pathlib import Path

import onnxruntime as ort

# Each adds products up at 32 bits (Intel's and AMD's manuals); without one of them
# pairs of products are added at 16 bits first, where they saturate.
_ADD_UP_IN_FULL = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
_CPUINFO = Path("/proc/cpuinfo")


def add_up_in_full(options: ort.SessionOptions) -> None:
    """No int8 product saturates in a session with these options.

    Where they did, a logit was off by .05, and a text could be read otherwise than on
    another machine. ONNX Runtime's exact products cost a sixth without VNNI; with it
    they change nothing and took four tenths of the speed, so there they stay off.
    """
    if not do_already():
        options.add_session_config_entry("session.x64quantprecision", "1")


@cache
def do_already(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the processor's quick products are exact; if that can't be told, no."""
    try:
        lines = cpuinfo.read_text("ascii", "replace").splitlines()
    except OSError:
        return False
    flags = [line.partition(":")[2].split() for line in lines if line[:5] == "flags"]
    return bool(flags) and all(_ADD_UP_IN_FULL & set(of_one) for of_one in flags)
