# main.py for MicroPython on an ESP32 or Pico W: shows a picture of main-node on a Waveshare 4.2" e-paper.
# main-node.toml: [[display]] name = "desk", model = "waveshare-4.2". The panel's driver is epd.py: a class EPD
# with init(), display(frame) of 1 bit a pixel (1 is white, rows from above), and sleep().
import machine, network, requests, time
from epd import EPD

URL = "http://192.168.1.20:8000/display/desk.raw"
WIFI = ("name of the network", "its password")
FRAME_BYTES = 400 * 300 // 8  # To draw on a frame: framebuf.FrameBuffer(frame, 400, 300, framebuf.MONO_HLSB).

def shown():
    """The tag of the picture on the panel, which stays there without power."""
    try:
        return open("etag").read()
    except OSError:
        return "none"

seconds = 60  # Until it asks again where this fails; the panel keeps what it shows.
try:
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    wlan.connect(*WIFI)
    for _ in range(200):
        if not wlan.isconnected():
            time.sleep_ms(100)
    reply = requests.get(URL, headers={"If-None-Match": shown()}, timeout=20)
    if reply.status_code == 200 and len(reply.content) == FRAME_BYTES:
        panel = EPD()
        panel.init()
        panel.display(bytearray(reply.content))
        panel.sleep()
        open("etag", "w").write(reply.headers["ETag"])
    if reply.status_code in (200, 304):
        seconds = int(reply.headers["Cache-Control"].split("max-age=")[1])
    print(reply.status_code, len(reply.content), "bytes, next in", seconds, "s")
except (OSError, KeyError, ValueError) as error:
    print("no picture:", error)
machine.deepsleep(seconds * 1000)
