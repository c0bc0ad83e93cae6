from arms.arm import Arm


class Direct(Arm):
    key = "direct"
    title = "direct (no gateway)"
    intercepts = False
    mints = passes = True  # what the origin's own certificate allows

    def prepare(self):
        self.ground.add_joined(self.namespace)

    def launch(self):
        pass

    def empty_logs(self):
        pass
