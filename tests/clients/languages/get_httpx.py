# See languages_test.cpp for what it prints.
import asyncio
import httpx


async def main():
    async with httpx.AsyncClient(http2=True, base_url="https://api.example.test") as client:
        async def show(what, method, path, **more):
            r = await client.request(method, path, **more)
            print(what, r.http_version, r.status_code, r.text.strip())

        await show("get", "GET", "/echo/get")
        await show("post", "POST", "/echo/post", content="from the sandbox")
        some = await asyncio.gather(*[client.get("/bytes/100000") for _ in range(8)])
        print("many", sum(len(r.content) for r in some))
        await show("upload", "POST", "/sha256", content=b"u" * 3_000_000)
        await show("refused", "GET", "/refused")

asyncio.run(main())
