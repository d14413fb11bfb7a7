"""Sending and receiving at the same time: what `/score/stream` is made for.

httpx sends the whole body before it reads a word of the answer; with a long text both sides would come to wait for each
other. So this one route speaks HTTP/1.1 over a socket of its own.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from typing import Any

from refrain.client.errors import DeadlineError, not_connected
from refrain.client.exchange import LAST_CHUNK, Exchange

SOME = 65_536
EITHER = selectors.EVENT_READ | selectors.EVENT_WRITE
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def talk(request: Mapping[str, Any], chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Send chunks and yield the answer's bytes as they come: at first between the chunks, then to the end."""
    exchange = Exchange(request)
    connection = _connect(exchange)
    try:
        yield from _send(connection, exchange, exchange.head())
        for chunk in chunks:
            yield from _send(connection, exchange, exchange.chunk(chunk))
            if exchange.is_over:
                break
        yield from _send(connection, exchange, LAST_CHUNK)
        events = selectors.EVENT_READ
        while not exchange.is_over:
            _wait(connection, exchange, events)
            events = yield from _receive(connection, exchange)
    finally:
        connection.close()


def _connect(exchange: Exchange) -> socket.socket:
    try:
        connection = socket.create_connection(exchange.address, exchange.timeout)
        try:
            connection = _encrypted(connection, exchange)
        except BaseException:
            connection.close()
            raise
    except OSError as error:
        raise not_connected(f"cannot connect: {error}", was_sent=False) from error
    connection.settimeout(0)
    return connection


def _encrypted(connection: socket.socket, exchange: Exchange) -> socket.socket:
    context = exchange.context
    host, _ = exchange.address
    return context.wrap_socket(connection, server_hostname=host) if context else connection


def _send(
    connection: socket.socket, exchange: Exchange, packed: bytes
) -> Generator[bytes, None, None]:
    """Send bytes, and receive meanwhile, so that neither side waits for the other."""
    left = memoryview(packed)
    events = EITHER
    while left and not exchange.is_over:
        _wait(connection, exchange, events)
        yield from _receive(connection, exchange)
        events = EITHER
        try:
            left = left[connection.send(left) :]
        except ssl.SSLWantReadError:
            events = selectors.EVENT_READ  # TLS itself has to hear something first
        except _NOT_YET:
            continue
        except OSError:
            return  # a server that refuses closes the connection: its answer has the reason


def _receive(connection: socket.socket, exchange: Exchange) -> Generator[bytes, None, int]:
    """Yield all that has come, and return the event to wait for before there can be more."""
    while not exchange.is_over:
        try:
            received = connection.recv(SOME)
        except ssl.SSLWantWriteError:
            return selectors.EVENT_WRITE
        except _NOT_YET:
            break
        except OSError as error:
            raise not_connected(f"the connection broke: {error}", was_sent=True) from error
        if body := exchange.take(received):
            yield body
    return selectors.EVENT_READ


def _wait(connection: socket.socket, exchange: Exchange, events: int) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, events)
        if not selector.select(exchange.timeout):
            raise DeadlineError(
                f"the server neither read nor sent anything for {exchange.timeout} seconds"
            )


async def async_talk(
    request: Mapping[str, Any], chunks: AsyncIterator[bytes]
) -> AsyncGenerator[bytes, None]:
    """Send chunks and yield the answer's bytes as soon as they come."""
    exchange = Exchange(request)
    reader, writer = await _async_connect(exchange)
    sending = asyncio.create_task(_async_send(writer, exchange, chunks))
    try:
        while not exchange.is_over:
            if body := exchange.take(await _async_receive(reader, exchange, sending)):
                yield body
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        writer.transport.abort()
        if not sending.cancelled() and (error := sending.exception()):
            raise error


async def _async_connect(
    exchange: Exchange,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(exchange.timeout):
            return await asyncio.open_connection(*exchange.address, ssl=exchange.context)
    except OSError as error:
        raise not_connected(f"cannot connect: {error}", was_sent=False) from error


async def _async_send(
    writer: asyncio.StreamWriter, exchange: Exchange, chunks: AsyncIterator[bytes]
) -> None:
    """Send all; whatever goes wrong ends the connection, and so the waiting for an answer."""
    try:
        await _write(writer, exchange, exchange.head())
        async for chunk in chunks:
            await _write(writer, exchange, exchange.chunk(chunk))
        await _write(writer, exchange, LAST_CHUNK)
    except BaseException:
        writer.transport.abort()
        raise


async def _write(writer: asyncio.StreamWriter, exchange: Exchange, packed: bytes) -> None:
    try:
        async with asyncio.timeout(exchange.timeout):
            writer.write(packed)
            await writer.drain()
    except TimeoutError as error:
        raise DeadlineError(f"the server read nothing for {exchange.timeout} seconds") from error
    except ConnectionError:
        return  # a server that refuses closes the connection: its answer has the reason


async def _async_receive(
    reader: asyncio.StreamReader, exchange: Exchange, sending: asyncio.Task[None]
) -> bytes:
    """Wait for more of the answer, with patience as long as there is more to send."""
    while True:
        is_sent = sending.done()
        try:
            async with asyncio.timeout(exchange.timeout):
                return await reader.read(SOME)
        except TimeoutError as error:
            if is_sent:
                message = f"the server sent nothing for {exchange.timeout} seconds"
                raise DeadlineError(message) from error
        except OSError as error:
            raise not_connected(f"the connection broke: {error}", was_sent=True) from error
