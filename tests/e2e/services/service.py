"""A real server of another project on a free loopback port: started, stopped, killed, paused and started again
on the same port with the data it has. The ones beside this file say how each is configured and asked."""

import signal

from harness import Process, environment, free_port, wait_until

START_TIMEOUT = 30


class Service:
    """A context manager; inside of it the server runs. Subclasses set `name`, and have `command()` and `ready()`."""

    name = "service"

    def __init__(self, directory):
        """`directory` must exist; the server has one of its own in it."""
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.home = directory / f"{self.name}-{self.port}"
        self.home.mkdir()
        self.process, self.starts = None, 0

    def command(self):
        raise NotImplementedError

    def ready(self):
        """Whether it answers; may raise what `wait_until` waits out."""
        raise NotImplementedError

    def start(self):
        self.starts += 1
        log = self.home / f"log.{self.starts}"
        self.process = Process(self.command(), log, env={**environment(), "HOME": str(self.home)}, cwd=self.home)
        wait_until(self.is_up, START_TIMEOUT, lambda: f"{self.name} starts: {self.output()}")

    def is_up(self):
        return self.process.running() and self.ready()

    def stop(self):
        """SIGTERM, as systemd does it."""
        self.resume()
        if self.process.stop(15)[0] is None:
            self.kill()

    def kill(self):
        """SIGKILL: it has no time to store anything."""
        self.process.kill()

    def restart(self):
        self.stop()
        self.start()

    def pause(self):
        """SIGSTOP: connections stay, and nothing is answered."""
        self.process.signal(signal.SIGSTOP)

    def resume(self):
        self.process.signal(signal.SIGCONT)

    def output(self):
        """The log since the last start."""
        return self.process.output()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
