"""GET / and its assets: the built page, and the headers that keep it from anything else."""

import gzip
import re
from pathlib import Path

import pytest

from tests.service.app_client import AppClient
from tests.service.problems import assert_problem

FOLDER = Path(__file__).parents[2] / "service" / "web" / "page"
ASSETS = sorted(path.name for path in (FOLDER / "assets").iterdir())
PLAIN = {"Accept-Encoding": "identity"}


def test_the_page_is_asked_for_again_and_its_assets_never(shared_client: AppClient) -> None:
    page = shared_client.get("/", headers=PLAIN)
    assert page.content == (FOLDER / "index.html").read_bytes()
    assert page.headers["cache-control"] == "no-cache"
    for name in ASSETS:
        asset = shared_client.get(f"/assets/{name}", headers=PLAIN)
        assert asset.content == (FOLDER / "assets" / name).read_bytes()
        assert "immutable" in asset.headers["cache-control"]
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        assert asset.headers["content-type"].startswith(kind)


def test_every_asset_is_named_by_its_content() -> None:
    assert all(re.fullmatch(r"[\w.-]+-[\w-]{8}\.(js|css)", name) for name in ASSETS)


@pytest.mark.parametrize("path", ["/", f"/assets/{ASSETS[0]}"])
def test_nothing_inline_nothing_evaluated_and_no_other_host(
    shared_client: AppClient, path: str
) -> None:
    headers = shared_client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert not re.search(r"unsafe|http|\*", headers["content-security-policy"])
    assert headers["x-content-type-options"] == "nosniff"


def test_the_page_holds_no_script_and_no_style_of_its_own() -> None:
    text = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|<script(?![^>]*src=)|\sstyle=|\son\w+=", text)


@pytest.mark.parametrize("name", ASSETS)
def test_gzip_is_the_same(shared_client: AppClient, name: str) -> None:
    packed = shared_client.get(f"/assets/{name}", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    # httpx has unpacked it.
    assert packed.content == (FOLDER / "assets" / name).read_bytes()
    assert int(packed.headers["content-length"]) == len(gzip.compress(packed.content, mtime=0))


def test_what_is_known_is_not_sent_again(shared_client: AppClient) -> None:
    etag = shared_client.get("/").headers["etag"]
    again = shared_client.get("/", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert "content-security-policy" in again.headers


@pytest.mark.parametrize("name", ["nothing.js", "..%2Findex.html", "%2e%2e", ".", "index.html"])
def test_no_other_file_is_served(shared_client: AppClient, name: str) -> None:
    assert_problem(shared_client.get(f"/assets/{name}"), 404)
