// WebSocket clients and a server of real libraries, over wss: none of them is told anything but a URL.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/support/sandbox.hpp"

using namespace sallyport::test;

namespace {

const std::string kSecret =
    "[[secret]]\nname = \"key\"\nhost = \"chat.example.test\"\nheader = \"x-api-key\"\n"
    "value = { env = \"REAL_KEY\" }\n";

std::string policy(const StandIn& origin, bool with_secret = true) {
    return "[[allow]]\nhost = \"chat.example.test\"\npath = \"/echo/**\"\n" + (with_secret ? kSecret : "") +
           origin.route("chat.example.test");
}

const std::vector<std::string> kOrigin{"/usr/bin/python3", SALLYPORT_SOURCE_DIR "/tests/clients/websocket_origin.py"};

const std::vector<std::string> kHttp2Origin{"node", SALLYPORT_SOURCE_DIR "/tests/clients/websocket_http2_origin.js"};

struct Client {
    std::string what;
    std::string here;  ///< a command that succeeds where it is installed
    bool deflates;     ///< every version of it asks for permessage-deflate
    std::string script;
};

/// Each says hello and three megabytes, pings, asks to be closed with 4001, and is refused elsewhere.
// clang-format off
const Client kClients[] = {
    {"Python websockets", "/usr/bin/python3 -c 'import websockets'", true, R"(/usr/bin/python3 -c '
import asyncio, os, websockets
async def main():
    async with websockets.connect("wss://chat.example.test/echo/py", subprotocols=["chat", "superchat"], max_size=None) as s:
        print("protocol", s.subprotocol, [e.name for e in s.extensions])
        await (await s.ping())
        for message in ("hello", os.urandom(1500000) + bytes(1500000)):
            await s.send(message)
            print("same", await s.recv() == message)
        await s.send("close")
        try:
            await s.recv()
        except websockets.ConnectionClosed as closed:
            print("closed", closed.code, closed.reason)
    try:
        await websockets.connect("wss://chat.example.test/refused")
    except websockets.InvalidStatusCode as refused:
        print("refused", refused.status_code)
asyncio.run(main())')"},
    {"Python aiohttp", "/usr/bin/python3 -c 'import aiohttp'", true, R"(/usr/bin/python3 -c '
import asyncio, os, aiohttp
async def main():
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect("wss://chat.example.test/echo/aio", protocols=["superchat"], compress=15, max_msg_size=0) as s:
            print("protocol", s.protocol, s.compress)
            await s.ping()
            await s.send_str("hello")
            print("same", await s.receive_str() == "hello")
            message = os.urandom(1500000) + bytes(1500000)
            await s.send_bytes(message)
            print("same", await s.receive_bytes() == message)
            await s.send_str("close")
            closed = await s.receive()
            print("closed", closed.data, closed.extra)
        try:
            await session.ws_connect("wss://chat.example.test/refused")
        except aiohttp.WSServerHandshakeError as refused:
            print("refused", refused.status)
asyncio.run(main())')"},
    {"Java HttpClient", "java --version", false, R"(cat >Chat.java <<'END'
import java.net.URI;
import java.net.http.*;
import java.nio.ByteBuffer;
import java.util.concurrent.*;
class Chat {
    public static void main(String[] args) throws Exception {
        var text = new CompletableFuture<String>();
        var binary = new CompletableFuture<Integer>();
        var closed = new CompletableFuture<String>();
        var pong = new CompletableFuture<Boolean>();
        var listener = new WebSocket.Listener() {
            int size = 0;
            public CompletionStage<?> onText(WebSocket s, CharSequence data, boolean last) {
                text.complete(data.toString()); s.request(1); return null;
            }
            public CompletionStage<?> onBinary(WebSocket s, ByteBuffer data, boolean last) {
                size += data.remaining();
                if (last) binary.complete(size);
                s.request(1);
                return null;
            }
            public CompletionStage<?> onPong(WebSocket s, ByteBuffer data) { pong.complete(true); s.request(1); return null; }
            public CompletionStage<?> onClose(WebSocket s, int code, String reason) {
                closed.complete(code + " " + reason); return null;
            }
        };
        var client = HttpClient.newHttpClient();
        var s = client.newWebSocketBuilder().subprotocols("chat", "superchat")
            .buildAsync(URI.create("wss://chat.example.test/echo/java"), listener).join();
        System.out.println("protocol " + s.getSubprotocol());
        s.sendPing(ByteBuffer.allocate(4)).join();
        System.out.println("pong " + pong.get());
        s.sendText("hello", true).join();
        System.out.println("same " + (text.get().equals("hello") ? "True" : "False"));
        s.sendBinary(ByteBuffer.allocate(3000000), true).join();
        System.out.println("same " + (binary.get() == 3000000 ? "True" : "False"));
        s.sendText("close", true).join();
        System.out.println("closed " + closed.get());
        try {
            client.newWebSocketBuilder().buildAsync(URI.create("wss://chat.example.test/refused"), listener).join();
        } catch (CompletionException e) {
            System.out.println("refused " + ((WebSocketHandshakeException) e.getCause()).getResponse().statusCode());
        }
    }
}
END
java -XX:TieredStopAtLevel=1 Chat.java)"},
    {"Node's WebSocket", "node --experimental-websocket -e 0", false, R"(node --experimental-websocket -e '
        const next = (s, event) => new Promise(done => s.addEventListener(event, done, { once: true }));
        (async () => {
            const s = new WebSocket("wss://chat.example.test/echo/node", ["chat", "superchat"]);
            s.binaryType = "arraybuffer";
            await next(s, "open");
            console.log("protocol", s.protocol);
            s.send("hello");
            console.log("same", (await next(s, "message")).data == "hello" ? "True" : "False");
            const large = Buffer.concat([require("crypto").randomBytes(1500000), Buffer.alloc(1500000)]);
            s.send(large);
            console.log("same", large.equals(Buffer.from((await next(s, "message")).data)) ? "True" : "False");
            s.send("close");
            const { code, reason } = await next(s, "close");
            console.log("closed", code, reason);
            await next(new WebSocket("wss://chat.example.test/refused"), "error");
            console.log("refused 403");   // the status is not told
        })()')"},
};
// clang-format on

}  // namespace

TEST_CASE("websocket: every client talks to a real server, compressed where no secret is, and is refused elsewhere") {
    if (!run_program({"/usr/bin/python3", "-c", "import websockets"}).exited_with(0))
        return skip("python3-websockets is not installed");
    for (const auto& client : kClients) {
        CAPTURE(client.what);
        if (!run_program({"sh", "-c", client.here}).exited_with(0)) {
            if (client.what.starts_with("Node"))  // Debian 12's has none yet
                MESSAGE("skipped: ", client.what, " is not installed");
            else skip(client.what + " is not installed");
            continue;
        }
        for (const bool with_secret : {true, false}) {
            const StandIn origin(kOrigin);
            const Sandbox sandbox(sandbox_users().back(), policy(origin, with_secret), &origin,
                                  {std::string("REAL_KEY=") + StandIn::kKey});
            const auto ran = sandbox.run(client.script);
            CAPTURE(with_secret);
            CAPTURE(ran.shown());
            CHECK(ran.exited_with(0));
            CHECK(ran.says("protocol superchat"));
            CHECK(ran.says("same True\nsame True\n"));
            CHECK(ran.says("closed 4001 as asked"));
            CHECK(ran.says("refused 403"));
            const auto connections = origin.requests();
            REQUIRE(connections.size() == 1);
            const auto& connection = connections.front();
            CHECK(connection["key"] == (with_secret ? nlohmann::json("right") : nlohmann::json()));
            CHECK(connection["messages"] == 3);
            CHECK(connection["closed"] != 1006);  // with a word for it
            const bool deflated = connection["extensions"] == nlohmann::json::array({"permessage-deflate"});
            if (with_secret) CHECK_FALSE(deflated);  // in what is compressed no secret could be found
            else if (client.deflates) CHECK(deflated);
            const nlohmann::json line{{"decision", "allow"}, {"status", 101}, {"reason", "allowed"}};
            CHECK(sandbox.audited(line) == 1);
            CHECK(sandbox.audited({{"decision", "deny"}, {"path", "/refused"}, {"status", 403}}) == 1);
            const auto log = sandbox.audit();
            const auto tunnel =
                std::find_if(log.begin(), log.end(), [](const auto& it) { return it["status"] == 101; });
            REQUIRE(tunnel != log.end());
            CHECK((*tunnel)["bytes_out"] > (deflated ? 1'500'000 : 3'000'000));
            CHECK((*tunnel)["bytes_in"] > (deflated ? 1'500'000 : 3'000'000));
        }
    }
}

TEST_CASE("websocket: a browser that has a connection of HTTP/2 talks over a stream of it") {
    if (!has_program("chromium")) return skip("chromium is not installed");
    if (!has_program("node")) return skip("Node is not installed");
    for (const auto user : sandbox_users()) {
        const StandIn origin(kHttp2Origin);
        const Sandbox sandbox(user, "[[allow]]\nhost = \"www.example.test\"\n" + origin.route("www.example.test"),
                              &origin);
        // Its own sandbox is off: it wants namespaces, which not every machine gives within another's.
        const auto ran = sandbox.run(
            "chromium --headless=new --no-sandbox --disable-gpu --no-first-run --dump-dom "
            "--user-data-dir=profile --timeout=30000 https://www.example.test/page");
        CAPTURE(ran.shown());
        CHECK(ran.says("4001 hello over there chat"));
        std::string page, tunnel;
        for (const auto& line : sandbox.audit()) {
            if (line.value("path", "") == "/page") page = line["client"];
            if (line.value("path", "") != "/talk") continue;
            tunnel = line["client"];
            CHECK(line["status"] == 101);
            CHECK(line["reason"] == "allowed");
        }
        CHECK_FALSE(page.empty());
        CHECK(tunnel == page);  // one connection
        for (const auto& request : origin.requests())
            CHECK(request["version"] == (request["path"] == "/talk" ? "1.1" : "2.0"));
    }
}
