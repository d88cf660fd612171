"""Files that came with complaints, given out safely: by the console to people, by the API to programs.

Purpose: a file of a stranger is only ever saved, never shown as a page. The one exception is a small picture of a kind that cannot hold
anything but pixels, by its content and not by its name, and that under a policy which lets it do nothing.
"""

from __future__ import annotations

from urllib.parse import quote

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, Depends, HTTPException, Request, Response

from connectors.file_types import pixels
from gateway.attachments import Opened
from gateway.bootstrap import App
from gateway.web.api import needs
from gateway.web.console_door import Door, Wrong
from models.attachment import AttachmentState, StoredAttachment
from models.staff import Scope

# Kinds of picture that every browser shows and that hold no script, no link and no other file.
RASTER = ("image/jpeg", "image/png", "image/gif", "image/webp")
# A picture is shown small on the page when it is no larger than this, in bytes and in pixels; a browser wants four bytes for each pixel.
SHOWN_BYTES, SHOWN_PIXELS = 8 * 1024 * 1024, 40_000_000

# A picture of one clear pixel.
_NOTHING = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00"
    b"!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)

# So many files are read out of their mails at once; each may want some times the size of a mail in memory.
_AT_ONCE = 4

_FILE = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cross-Origin-Resource-Policy": "same-origin"}


def router(app: App) -> APIRouter:
    """The call of the API."""
    routes = APIRouter(prefix="/api/v1")
    opening = CapacityLimiter(_AT_ONCE)

    @routes.get(
        "/complaints/{number}/attachments/{attachment}",
        dependencies=[Depends(needs(app, Scope.COMPLAINTS_READ))],
        summary="一个附件的内容。 The bytes of a file that came with a complaint.",
        response_class=Response,
    )
    async def attachment(number: str, attachment: str) -> Response:
        opened = await anyio.to_thread.run_sync(app.attachments.open, number, attachment, limiter=opening)
        if opened is None:
            raise HTTPException(404, "没有这个附件 / there is no such attachment")
        return _saved(opened)

    return routes


def routes(app: App, door: Door) -> APIRouter:
    """What the console offers."""
    router = APIRouter(prefix="/console", include_in_schema=False)
    opening = CapacityLimiter(_AT_ONCE)

    async def opened(number: str, attachment: str) -> Opened:
        found = await anyio.to_thread.run_sync(app.attachments.open, number, attachment, limiter=opening)
        if found is None:
            raise Wrong(404, "wrong.not_found")
        return found

    @router.get("/complaints/{number}/attachments/{attachment}")
    async def download(number: str, attachment: str, request: Request) -> Response:
        await door.enter(request)
        return _saved(await opened(number, attachment))

    @router.get("/complaints/{number}/attachments/{attachment}/preview")
    async def preview(number: str, attachment: str, request: Request) -> Response:
        await door.enter(request)
        known = await anyio.to_thread.run_sync(app.attachments.known, number, attachment)
        if known is None or not may_be_shown(known):
            raise Wrong(404, "wrong.not_found")
        content = (await opened(number, attachment)).content
        size = pixels(content, known.mime_type)
        if size is None or size > SHOWN_PIXELS:
            # Broken, or larger than a browser should be asked to hold: an empty place, where a refusal would be a broken picture.
            return Response(_NOTHING, headers=_FILE, media_type="image/gif")
        return Response(content, headers={**_FILE, "Content-Disposition": "inline"}, media_type=known.mime_type)

    return router


def may_be_shown(file: StoredAttachment) -> bool:
    """Whether a file is a picture that the page may show; how many pixels it has is seen when it is opened."""
    return file.state is AttachmentState.KEPT and file.mime_type in RASTER and file.size <= SHOWN_BYTES


def disposition(filename: str) -> str:
    """The header that has a browser save a file under this name (RFC 6266 4.3): in ASCII for old ones, whole for the others (RFC 8187)."""
    plain = "".join(letter if letter.isascii() and letter.isprintable() and letter not in '"\\%;' else "_" for letter in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename.encode('utf-8', 'replace'), safe='')}"


def _saved(opened: Opened) -> Response:
    """A file to be kept, never a page: its type is ours, whatever its sender said."""
    headers = {**_FILE, "Content-Disposition": disposition(opened.known.filename)}
    return Response(opened.content, headers=headers, media_type="application/octet-stream")
