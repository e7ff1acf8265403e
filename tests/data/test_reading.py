import pytest

from tinytx.data import DataError, read_text


@pytest.mark.parametrize(
    "content, text",
    [
        ("naïve ☃ 𝄞\n".encode(), "naïve ☃ 𝄞\n"),
        (b"\xef\xbb\xbfmarked", "marked"),
        (b"a\r\nb\rc\n\r\n", "a\nb\nc\n\n"),
        (b"\xef\xbb\xbf\xef\xbb\xbfmarked\n\xef\xbb\xbfagain \xef\xbb\xbf", "marked\nagain \ufeff"),
        (b" ", " "),
    ],
)
def test_read_text(tmp_path, content, text):
    (tmp_path / "text").write_bytes(content)
    assert read_text(tmp_path / "text") == text
    assert read_text(str(tmp_path / "text")) == text


@pytest.mark.parametrize(
    "content, match",
    [
        (b"", "text.txt is empty"),
        (b"\xef\xbb\xbf", "text.txt is empty"),
        (b"caf\xe9 au lait", r"not UTF-8: byte 0xe9 at offset 3 in line 1 .*latin-1\?"),
        (b"\xef\xbb\xbfab\xff", "byte 0xff at offset 5"),
        ("text".encode("utf-16"), r"byte 0x\w\w at offset 0 .*UTF-16\?"),
        (b"cut \xe2\x98", "byte 0xe2 at offset 4"),
        ("a\nno mark".encode("utf-16-le"), r"byte 0x00 at offset 1 in line 1, which .*UTF-16 or UTF-32 without a byte"),
        ("no mark".encode("utf-32-be"), "byte 0x00 at offset 0 .*without a byte order mark"),
        ("é".encode("utf-16-le"), "byte 0xe9 at offset 0 .*without a byte order mark"),
        ("text".encode("utf-32"), r"byte 0xff at offset 0 .*\(UTF-32\?\)"),
        (b"a\rb\r\nc\n\0", "byte 0x00 at offset 7 in line 4"),
        (b"one\ntwo\nthr\xe9e\nfour", "byte 0xe9 at offset 11 in line 3 "),
        (b"one\n\n\xe9", "byte 0xe9 at offset 5 in line 3 "),
    ],
)
def test_what_is_no_text(tmp_path, content, match):
    (tmp_path / "text.txt").write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_text(tmp_path / "text.txt")


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match="no file .*none.txt"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(DataError, match="is a folder"):
        read_text(tmp_path)
    with pytest.raises(DataError):
        read_text(tmp_path / "none" / "text.txt")


def test_a_data_error_is_a_value_error():
    assert issubclass(DataError, ValueError)
