# See languages_test.cpp for what it prints.
import asyncio
import aiohttp


async def main():
    async with aiohttp.ClientSession("https://api.example.test") as session:
        async def show(what, method, path, **more):
            async with session.request(method, path, **more) as r:
                print(what, f"HTTP/{r.version.major}.{r.version.minor}", r.status, (await r.text()).strip())

        async def size():
            async with session.get("/bytes/100000") as r:
                return len(await r.read())

        await show("get", "GET", "/echo/get")
        await show("post", "POST", "/echo/post", data="from the sandbox")
        print("many", sum(await asyncio.gather(*[size() for _ in range(8)])))
        await show("upload", "POST", "/sha256", data=b"u" * 3_000_000)
        await show("refused", "GET", "/refused")

asyncio.run(main())
