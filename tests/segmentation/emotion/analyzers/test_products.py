"""Where int8 products are exact by themselves."""

import pytest

from segmentation.emotion.analyzers.products import do_already


@pytest.mark.parametrize(
    ("flags", "exact"),
    [
        ("fpu sse2 avx2 avx512f avx512_vnni", True),
        ("fpu sse2 avx2 avx_vnni", True),
        ("fpu sse2 avx2 avx512f amx_int8", True),
        ("fpu sse2 avx2 avx512f avx512bw", False),
        ("fpu sse2 avx2", False),
        ("fpu avx512_vnni_of_something_else", False),
    ],
)
def test_products_are_exact_where_the_processor_adds_up_in_full(tmp_path, flags, exact):
    (there := tmp_path / "cpuinfo").write_text(
        f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: avx_vnni\n\nprocessor\t: 1\n"
    )
    assert do_already(there) is exact


def test_a_core_that_does_not_makes_all_of_them_careful(tmp_path):
    (there := tmp_path / "cpuinfo").write_text(
        "flags\t: avx2 avx_vnni\n\nflags\t: avx2\n"
    )
    assert not do_already(there)


def test_where_it_cannot_be_told_products_are_not_taken_for_exact(tmp_path):
    assert not do_already(tmp_path / "nowhere")
    (there := tmp_path / "cpuinfo").write_text("Features\t: fp asimd\n")
    assert not do_already(there)
