"""Lets the peers test call through grpcio, on one channel: a line of JSON asks, a line of JSON answers.

usage: grpcio_peer.py SOCKET sync|aio

    {"method": "package.Service/Method", "request": {…}}   ->   {"response": {…}} or {"code": 5, "text": "…"}
    {"method": "services"}                                 ->   {"response": ["package.Service", …]}

All that it knows of the API comes from the server, by reflection.
"""

import asyncio
import json
import sys

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

TIMEOUT_SECONDS = 120


class SyncPeer:
    """The blocking API. Its methods are coroutines only to look like those of AioPeer."""

    def __init__(self, target):
        self.channel = grpc.insecure_channel(target)

    async def unary(self, path, serialize, parse, request):
        return self.channel.unary_unary(path, serialize, parse)(request, timeout=TIMEOUT_SECONDS)

    async def reflect(self, requests):
        stub = reflection_pb2_grpc.ServerReflectionStub(self.channel)
        return list(stub.ServerReflectionInfo(iter(requests), timeout=TIMEOUT_SECONDS))


class AioPeer:
    """The asyncio API."""

    def __init__(self, target):
        self.channel = grpc.aio.insecure_channel(target)

    async def unary(self, path, serialize, parse, request):
        return await self.channel.unary_unary(path, serialize, parse)(request, timeout=TIMEOUT_SECONDS)

    async def reflect(self, requests):
        stub = reflection_pb2_grpc.ServerReflectionStub(self.channel)
        return [answer async for answer in stub.ServerReflectionInfo(iter(requests), timeout=TIMEOUT_SECONDS)]


async def service_names(peer):
    [answer] = await peer.reflect([reflection_pb2.ServerReflectionRequest(list_services="")])
    return [service.name for service in answer.list_services_response.service]


async def learn_types(peer):
    """A pool with the files of all services and those that they import, dependencies first."""
    names = await service_names(peer)
    files = {}
    queue = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=name) for name in names]
    while queue:
        for answer in await peer.reflect(queue):
            for encoded in answer.file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(encoded)
                files[file.name] = file
        imports = {name for file in files.values() for name in file.dependency} - files.keys()
        queue = [reflection_pb2.ServerReflectionRequest(file_by_filename=name) for name in imports]
    pool = descriptor_pool.DescriptorPool()
    for file in files.values():
        add_file(pool, files, file)
    return pool


def add_file(pool, files, file):
    for name in file.dependency:
        add_file(pool, files, files[name])
    pool.Add(file)


async def call(peer, pool, method, request):
    """A call with the types of the pool; an unknown method is sent all the same, with an empty message."""
    service, name = method.split("/")
    described = pool.FindServiceByName(service).methods_by_name.get(name)
    if described is None:
        return await peer.unary(f"/{method}", bytes, bytes, b"")
    request_type = message_factory.GetMessageClass(described.input_type)
    response_type = message_factory.GetMessageClass(described.output_type)
    message = json_format.ParseDict(request, request_type())
    answer = await peer.unary(f"/{method}", request_type.SerializeToString, response_type.FromString, message)
    return json_format.MessageToDict(answer, always_print_fields_with_no_presence=True)


def failure(error):
    """The code, and as text the message and the violations that the details name."""
    text = [error.details() or ""]
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                bad_request = error_details_pb2.BadRequest()
                if detail.Unpack(bad_request):
                    text += [f"{each.field}: {each.description}" for each in bad_request.field_violations]
    return {"code": error.code().value[0], "text": "\n".join(text)}


async def answer(peer, pool, question):
    try:
        if question["method"] == "services":
            return {"response": await service_names(peer)}
        return {"response": await call(peer, pool, question["method"], question["request"])}
    except grpc.RpcError as error:
        return failure(error)


async def main():
    socket, kind = sys.argv[1:]
    peer = {"sync": SyncPeer, "aio": AioPeer}[kind](f"unix:{socket}")
    pool = await learn_types(peer)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await answer(peer, pool, json.loads(line))), flush=True)


asyncio.run(main())
