"""Downloads from a server that breaks, lies and changes; archives that must not be trusted."""

import hashlib
import io
import os
import re
import stat
import struct
import threading
import zipfile
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from tinygan.data import DataError, ImageFolder
from tinygan.data.__main__ import main
from tinygan.data.archive import unpack
from tinygan.data.download import BY_HAND, PUBLISHED, download


def picture(seed=0):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def published(name="monet2photo"):
    """The bytes of an archive laid out as the published ones are."""
    files = {
        f"{name}/{part}/{i}.png": picture(i)
        for part in ("trainA", "trainB", "testA", "testB")
        for i in range(5)
    }
    return zipped({**files, f"__MACOSX/{name}/._x": b"junk", f"{name}/.DS_Store": b"junk"})


def zipped(files, links=(), compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        for name in links:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `files`; each number in `breaks` cuts one answer off after so many bytes."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.breaks, self.requests = {}, [], []
        self.ranges, self.tags, self.length = True, True, None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/sets"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        body = server.files.get(self.path)
        wanted = self.headers.get("Range")
        server.requests.append((self.path, wanted))
        if body is None:
            self.send_error(404)
            return
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        start = 0
        if server.ranges and wanted and self.headers.get("If-Range", tag) == tag:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        if start >= len(body) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        length = str(len(body) - start) if server.length is None else server.length
        self.send_header("Content-Length", length)
        if server.tags:
            self.send_header("ETag", tag)
        self.end_headers()
        rest = body[start:]
        if server.breaks:
            rest = rest[: server.breaks.pop(0)]
        self.wfile.write(rest)
        self.close_connection = True


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("tinygan.data.resuming._PAUSE", 0)
    monkeypatch.setattr("tinygan.data.resuming._PIECE", 1000)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def downloads(place):
    folder = place.parent / "cache" / "downloads"
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_a_published_set(server, place, capsys):
    server.files["/sets/monet2photo.zip"] = published()
    assert main(["download", "monet2photo", "--url", server.url]) == 0
    out = place / "datasets" / "monet2photo"
    assert sorted(os.listdir(out)) == ["testA", "testB", "trainA", "trainB"]
    assert (out / "trainB" / "3.png").read_bytes() == picture(3)
    assert len(ImageFolder(out / "testA", 16)) == 5
    assert "20 pictures (testA 5, testB 5, trainA 5, trainB 5)" in capsys.readouterr().out
    assert os.listdir(place / "datasets") == ["monet2photo"]
    assert downloads(place) == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("tags", [True, False])
def test_broken_connections_are_gone_on_with(server, place, tags):
    body = server.files["/sets/maps.zip"] = published()
    server.tags = tags
    server.breaks = [4000, 5500, 3000]
    out = download("maps", "out", server.url, sha256=hashlib.sha256(body).hexdigest())
    assert [wanted for _, wanted in server.requests] == [
        None,
        "bytes=4000-",
        "bytes=9000-",
        "bytes=12000-",
    ]
    assert (out / "trainA" / "0.png").read_bytes() == picture(0)
    assert downloads(place) == []


def test_a_later_call_goes_on_too(server, place):
    server.files["/sets/maps.zip"] = published()
    server.breaks = [3000, 1000, 2000, 0, 0]
    with pytest.raises(DataError, match="6000 bytes are kept, the same command goes on from there"):
        download("maps", "out", server.url)
    assert [name.partition(".")[2] for name in downloads(place)] == ["zip.part", "zip.part.json"]
    assert os.listdir(place) == []
    server.requests.clear()
    download("maps", "out", server.url)
    assert server.requests == [("/sets/maps.zip", "bytes=6000-")]


def test_a_changed_file_is_begun_anew(server, place):
    server.files["/sets/maps.zip"] = b"old" * 5000
    server.breaks = [5000, 0, 0, 0]
    with pytest.raises(DataError, match="5000 bytes are kept"):
        download("maps", "out", server.url)
    server.files["/sets/maps.zip"] = published()
    out = download("maps", "out", server.url)
    assert (out / "trainA" / "0.png").read_bytes() == picture(0)


def test_a_server_without_ranges_sends_it_all_again(server, place):
    server.files["/sets/maps.zip"] = published()
    server.ranges = False
    server.breaks = [5000]
    assert (download("maps", "out", server.url) / "testB" / "4.png").read_bytes() == picture(4)
    assert len(server.requests) == 2


def test_all_was_there_already(server, place):
    body = server.files["/sets/maps.zip"] = published()
    server.breaks = [5000, 0, 0, 0]
    with pytest.raises(DataError):
        download("maps", "out", server.url)
    (part,) = (place.parent / "cache" / "downloads").glob("maps-*.part")
    part.write_bytes(body)
    download("maps", "out", server.url)
    assert server.requests[-1] == ("/sets/maps.zip", f"bytes={len(body)}-")


def fails(capsys, *arguments):
    """Run the command, which must fail with one line on stderr; return the line."""
    assert main([str(a) for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_not_on_the_server(server, place, capsys):
    err = fails(capsys, "download", "horse2zebra", "--url", server.url)
    assert "horse2zebra.zip: the server says 404" in err
    assert "--archive FILE" in err
    assert os.listdir(place) == downloads(place) == []
    assert len(server.requests) == 1


def test_server_gone(server, place, capsys):
    url = server.url
    server.server_close()
    err = fails(capsys, "download", "horse2zebra", "--url", url)
    assert "the download failed" in err
    assert "give a mirror with --url" in err
    assert os.listdir(place) == []


def test_damaged_archives_are_refused_and_not_kept(server, place, capsys):
    whole = published()
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 255  # inside of a picture: only the checksum knows
    for body in (b"<html>we have moved</html>", whole[:-500], bytes(flipped)):
        server.files["/sets/facades.zip"] = body
        err = fails(capsys, "download", "facades", "--url", server.url)
        assert "not a whole zip archive" in err
        assert os.listdir(place) == ["datasets"] or os.listdir(place) == []
        assert not (place / "datasets").exists() or os.listdir(place / "datasets") == []
        assert downloads(place) == []


def test_wrong_checksum(server, place, capsys):
    body = server.files["/sets/facades.zip"] = published()
    wrong = "0" * 64
    err = fails(capsys, "download", "facades", "--url", server.url, "--sha256", wrong)
    assert wrong in err
    assert os.listdir(place) == []
    assert not [name for name in downloads(place) if name.endswith(".zip")]
    (place / "mine.zip").write_bytes(body)
    err = fails(capsys, "download", "facades", "--archive", "mine.zip", "--sha256", wrong)
    assert hashlib.sha256(body).hexdigest() in err
    assert "64 hexadecimal" in fails(capsys, "download", "facades", "--sha256", "abc")


def test_by_hand(place, capsys):
    for name in BY_HAND:
        err = fails(capsys, "download", name)
        assert "https://" in err
        assert "--archive FILE" in err
    (place / "got.zip").write_bytes(
        zipped(
            {f"100k/100k/{i}.jpg": picture(i) for i in range(3)}, compression=zipfile.ZIP_DEFLATED
        )
    )
    assert main(["download", "celebrity-100k", "--archive", "got.zip", "--out", "faces"]) == 0
    out, err = capsys.readouterr()
    assert "3 pictures" in out
    assert "published celebrity-100k has 100000" in err
    assert sorted(os.listdir(place / "faces")) == ["0.jpg", "1.jpg", "2.jpg"]
    assert (place / "got.zip").exists()


def test_mistakes(place, capsys):
    assert "monet2photo" in fails(capsys, "download", "monet")
    assert "no such archive" in fails(capsys, "download", "celeba", "--archive", "gone.zip")
    assert "address" not in fails(capsys, "download", "maps", "--url", "nonsense://x/maps.zip")
    assert "celeba" not in PUBLISHED


def test_nothing_is_overwritten(server, place, capsys):
    server.files["/sets/maps.zip"] = published("maps")
    (place / "out").mkdir()
    (place / "out" / "mine.txt").write_text("mine")
    (place / "file").write_text("mine")
    for out in ("out", "file", "out/mine.txt"):
        assert "nothing was written" in fails(
            capsys, "download", "maps", "--url", server.url, "--out", out
        )
    assert server.requests == []
    assert (place / "out" / "mine.txt").read_text() == (place / "file").read_text() == "mine"
    (place / "empty").mkdir()
    assert main(["download", "maps", "--url", server.url, "--out", "empty"]) == 0


def bomb():
    """An archive of 6 files of 1 GB of zeros, each of them the same megabyte of the archive."""
    data = zlib.compress(bytes(1 << 20), 9)[2:-4]  # it would be found out at its end, after 1 GB
    crc = zlib.crc32(bytes(1 << 20))
    sizes = struct.pack("<III", crc, len(data), 1 << 30)
    local = b"PK\3\4" + struct.pack("<HHHHH", 20, 0, 8, 0, 33) + sizes + b"\5\0\0\0" + b"0.png"
    table = b""
    for i in range(6):
        head = b"PK\1\2" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 33) + sizes
        table += head + struct.pack("<HHHHHII", 5, 0, 0, 0, 0, 0, 0) + b"%d.png" % i
    end = struct.pack("<HHHHIIH", 0, 0, 6, 6, len(table), len(local) + len(data), 0)
    return local + data + table + b"PK\5\6" + end


def test_a_bomb_is_refused_before_it_is_unpacked(place):
    (place / "a.zip").write_bytes(bomb())
    with pytest.raises(DataError, match=r"refused, as its .* would become 6.4 GB"):
        unpack("a.zip", "out")
    assert os.listdir(place) == ["a.zip"]


EVIL = {
    "up": zipped({"a/x.png": picture(), "../evil.png": picture()}),
    "up inside": zipped({"a/x.png": picture(), "a/../../evil.png": picture()}),
    "absolute": zipped({"a/x.png": picture(), "/tmp/evil.png": picture()}),
    "backslashes": zipped({"a/x.png": picture(), "..\\evil.png": picture()}),
    "drive": zipped({"a/x.png": picture(), "C:/evil.png": picture()}),
    "link": zipped({"a/x.png": picture()}, links=["a/evil.png"]),
    "link to folder": zipped({"a/x.png": picture()}, links=["b"]),
    "file and folder": zipped({"a": picture(), "a/x.png": picture()}),
}


@pytest.mark.parametrize("kind", EVIL)
def test_evil_archives_are_refused_whole(place, kind, capsys):
    (place / "evil.zip").write_bytes(EVIL[kind])
    with pytest.raises(DataError, match="refused"):
        unpack("evil.zip", "sub/out")
    assert "refused" in fails(capsys, "download", "celeba", "--archive", "evil.zip")
    left = [str(p.relative_to(place.parent)) for p in place.parent.rglob("*") if not p.is_dir()]
    assert left == ["work/evil.zip"]
    assert not os.path.exists("/tmp/evil.png")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_other_useless_archives(place):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.png", picture(0))
        archive.writestr("x.png", picture(1))
    cases = {
        "twice": buffer.getvalue(),
        "no picture": zipped({"read.me": b"hello"}),
        "no picture in": zipped({}),
    }
    for message, data in cases.items():
        (place / "a.zip").write_bytes(data)
        with pytest.raises(DataError, match=message):
            unpack("a.zip", "out")
        assert os.listdir(place) == ["a.zip"]


def test_too_large_for_the_disk(place, monkeypatch):
    (place / "a.zip").write_bytes(published())
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("tinygan.data.archive.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="kB free"):
        unpack("a.zip", "out")
    assert os.listdir(place) == ["a.zip"]


def test_interrupted_unpacking_leaves_nothing_but_the_download(server, place, monkeypatch, capsys):
    server.files["/sets/maps.zip"] = published()
    calls = []

    def interrupt(*_):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("tinygan.data.archive._extract", interrupt)
    assert main(["download", "maps", "--url", server.url, "--out", "out"]) == 130
    assert os.listdir(place) == []
    assert len(downloads(place)) == 1
    monkeypatch.undo()
    monkeypatch.setenv("TINYGAN_CACHE", str(place.parent / "cache"))
    server.files["/other/maps.zip"] = zipped({"trainA/other.png": picture(7)})
    other = download("maps", place / "other", server.url.replace("sets", "other"))
    assert (other / "other.png").exists() or (other / "trainA" / "other.png").exists()
    asked = len(server.requests)
    download("maps", place / "out", server.url)  # no need to ask this server again
    assert len(server.requests) == asked
    assert downloads(place) == []


SECRET = "s3cr%40t"


@pytest.mark.parametrize("fault", ["no server", "404", "broken", "no zip", "checksum", "scheme"])
def test_passwords_and_tokens_of_addresses_are_never_shown(server, place, capsys, fault):
    url = server.url.replace("//", f"//me:{SECRET}@") + "/maps.zip?token=t0ken"
    words = []
    server.files["/sets/maps.zip?token=t0ken"] = published()
    if fault == "no server":
        server.server_close()
    elif fault == "404":
        server.files.clear()
    elif fault == "broken":
        server.breaks = [3000, 0, 0, 0]
    elif fault == "no zip":
        server.files["/sets/maps.zip?token=t0ken"] = b"nothing"
    elif fault == "checksum":
        words = ["--sha256", "0" * 64]
    else:
        url = url.replace("http", "gopher")
    err = fails(capsys, "download", "maps", "--url", url, *words)
    left = [p.name + p.read_text(errors="replace") for p in place.parent.rglob("*.json")]
    for secret in (SECRET, "s3cr@t", "t0ken"):
        assert secret not in err
        assert all(secret not in text for text in left)


@pytest.mark.parametrize("length", ["x", "-5", "1e3", ""])
def test_a_length_that_is_none(server, place, length):
    server.files["/sets/maps.zip"] = published()
    server.length = length
    assert download("maps", "out", server.url).exists()


def test_folders_are_as_readable_as_any(place):
    (place / "a.zip").write_bytes(published())
    unpack("a.zip", "out")
    (place / "plain").mkdir()
    assert (place / "out").stat().st_mode == (place / "plain").stat().st_mode
