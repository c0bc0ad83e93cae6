# See languages_test.cpp for what it prints.
import concurrent.futures
import requests

SITE = "https://api.example.test"
session = requests.Session()


def show(what, method, path, **more):
    r = session.request(method, SITE + path, **more)
    print(what, f"HTTP/{r.raw.version / 10}", r.status_code, r.text.strip())


show("get", "GET", "/echo/get")
show("post", "POST", "/echo/post", data="from the sandbox")
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print("many", sum(len(r.content) for r in pool.map(requests.get, [SITE + "/bytes/100000"] * 8)))
show("upload", "POST", "/sha256", data=b"u" * 3_000_000)
show("refused", "GET", "/refused")
