"""Large bodies, down and up, intercepted and relayed untouched."""
import json

from ground import API, PASS
from measures.measure import Clock, Measure
from processes import Failure, run

_TIME_UP = 28  # curl's exit status when --max-time has ended it


class Transfer(Measure):
    host = API
    columns = [("rate", "MB/s", "count"), ("cpu", "CPU s for 1 GB", "seconds"), ("busy", "busy", "percent")]
    ratios = ("rate", "cpu")

    def __init__(self, options, tools, origin):
        super().__init__(options, tools)
        self.origin = origin
        self.time_limit = 2 if options.quick else 6

    def command(self):
        raise NotImplementedError

    def run(self, arm):
        with Clock(arm.pids) as clock:
            printed = run(["curl", "-skf", "--http1.1", "--max-time", self.time_limit, "-w", "%{json}", "-H", "Expect:",
                           *self.command()], arm.namespace, accept=(0, _TIME_UP))
        told = json.loads(printed[printed.index("{"):])
        moved = told["size_download"] + told["size_upload"]
        if moved == 0:
            raise Failure("nothing was transferred within the time limit")
        self.check(told)
        seconds = told["time_total"] - told["time_pretransfer"]
        figures = {"rate": moved / seconds / 1e6}
        if arm.pids:
            figures |= {"cpu": clock.cpu / moved * 1e9, "busy": clock.busy}
        yield figures

    def check(self, told):
        pass


class Download(Transfer):
    key = "download"
    title = "Download, intercepted"
    note = ("512 MB over one HTTP/1.1 connection (curl), or what comes in six seconds. Client and origin, with TLS of "
            "their own, share a core: where the proxy is not busy, it is they who limit the rate.")

    def command(self):
        return ["-o", "/dev/null", f"https://{self.host}/large"]


class Upload(Transfer):
    key = "upload"
    title = "Upload, intercepted"
    note = "The same the other way; the origin stores it in memory and answers at the end."

    def command(self):
        return ["-T", self.origin.folder / "large", f"https://{self.host}/upload/file"]

    def check(self, told):
        stored = self.origin.uploaded_bytes()
        if told["http_code"] != 0 and stored != told["size_upload"]:
            raise Failure(f"the origin has {stored} of {told['size_upload']} bytes")


class Passed:
    host = PASS

    reference = "haproxy-tcp"

    def can(self, arm):
        return arm.passes


class PassedDownload(Passed, Download):
    key = "pass-download"
    title = "Download, passed through"
    note = "The same, TLS relayed untouched. Ratios are to haproxy's splice()."


class PassedUpload(Passed, Upload):
    key = "pass-upload"
    title = "Upload, passed through"
    note = "The same the other way."
