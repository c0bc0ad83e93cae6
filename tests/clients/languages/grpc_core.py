# The calls of grpc_test.cpp, by the library that is under gRPC for Python, C++, C#, PHP and Ruby.
import concurrent.futures
import json
import threading
import grpc

channel = grpc.secure_channel("api.example.test:443", grpc.ssl_channel_credentials(),
                              [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])


def of(kind, name):
    return getattr(channel, kind)("/test.Calls/" + name, request_serializer=lambda value: json.dumps(value).encode(),
                                  response_deserializer=json.loads)


def outcome(call, **more):
    before, after = dict(call.initial_metadata()), dict(call.trailing_metadata())
    result = {"initial": before.get("x-initial"), "code": call.code().value[0], "details": call.details(),
              "trailer": after.get("x-trailer"), "binary": after.get("x-trailer-bin", b"").hex() or None}
    return {key: value for key, value in result.items() if value is not None} | more


def unary(name, message, **options):
    call = of("unary_unary", name).future(message, **options)
    try:
        value = {"value": call.result()}
    except (grpc.RpcError, grpc.FutureCancelledError):
        value = {}
    return outcome(call, messages=[], **value)


def messages(call):
    got = []
    try:
        for message in call:
            got.append(message)
    except grpc.RpcError:
        pass
    return outcome(call, messages=got)


def large():
    result = unary("Say", {"text": "x" * 5_000_000})
    return {"code": result["code"], "size": len(result["value"]["text"])}


def concurrent_calls():
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda i: unary("Say", {"text": str(i)}), range(20)))
    return [result["value"]["text"] for result in results]


def both():  # each message goes only after the answer to the one before
    turn = threading.Semaphore()

    def questions():
        for number in range(1, 6):
            turn.acquire()
            yield {"text": f"message {number}"}

    call, got = of("stream_stream", "Chat")(questions()), []
    for message in call:
        got.append(message)
        turn.release()
    return outcome(call, messages=got)


def cancelled():
    call = of("unary_unary", "Hang").future({})
    unary("Say", {"text": ""})  # by then the server has got the call that came before
    call.cancel()
    return {"code": call.code().value[0]}


calls = {
    "unary": lambda: unary("Say", {"text": "hello"}, metadata=[
        ("x-client", "from the client"), ("x-client-bin", bytes([0, 1, 254, 255]))]),
    "large": large,
    "concurrent": concurrent_calls,
    "server": lambda: messages(of("unary_stream", "Count")({"to": 1000})),
    "brokenOff": lambda: messages(of("unary_stream", "Count")({"to": 3, "fail": True})),
    "client": lambda: of("stream_unary", "Add")({"number": number} for number in range(1, 1001)),
    "both": both,
    "failure": lambda: unary("Fail", {}),
    "unknown": lambda: unary("Nothing", {}),
    "deadline": lambda: unary("Hang", {}, timeout=1),
    "cancelled": cancelled,
    "forbidden": lambda: unary("Forbidden", {}),
}
for name, call in calls.items():
    print(json.dumps({name: call()}), flush=True)
