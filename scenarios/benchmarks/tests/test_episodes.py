"""The client: what it sends, what it sends again, and what it makes of refusals."""

import socket
import struct
import unittest
import zlib

from handsight_episodes import EpisodeClient, ServerError, png
from pixels import Pixels
from server import ScriptedServer, answer

WAIT = {"action": "wait", "time": 1.0}


def client(server, **more):
    return EpisodeClient(server.url, pause=0.001, **more)


class Client(unittest.TestCase):
    def test_a_step_that_failed_on_the_way_is_sent_again_under_its_name(self):
        with ScriptedServer(["drop", 503, answer(WAIT)]) as server:
            speaks = client(server)
            episode = speaks.begin("do it", "android", task=None, seed=7)["episode"]
            self.assertEqual(server.begun, [{"protocol": 1, "goal": "do it", "platform": "android", "seed": 7}])
            told = speaks.step(episode, b"pixels", step=0)
            self.assertEqual(told["actions"], [WAIT])
            self.assertEqual([seen["png"] for seen in server.seen], [b"pixels"] * 3)
            self.assertEqual(len({seen["request_id"] for seen in server.seen}), 1)
            speaks.end(episode)
            self.assertEqual(server.ended, ["episode_1"])

    def test_what_is_refused_is_not_sent_again(self):
        with ScriptedServer([409, answer(WAIT)]) as server:
            with self.assertRaises(ServerError) as caught:
                client(server).step("episode_1", b"")
            self.assertEqual((caught.exception.status, caught.exception.code), (409, "scripted"))
            self.assertEqual(len(server.seen), 1)

    def test_there_is_an_end_to_trying_again(self):
        with ScriptedServer([503] * 9) as server:
            with self.assertRaises(ServerError):
                client(server, retries=3).step("episode_1", b"")
            self.assertEqual(len(server.seen), 4)

    def test_a_server_that_is_not_there_is_named(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with self.assertRaises(ServerError) as caught:
            EpisodeClient(url + "/v1", retries=0).begin("do it", "desktop")
        self.assertIn(f"no answer from {url}: ", str(caught.exception))
        with self.assertRaises(ValueError):
            EpisodeClient("localhost:8080")

    def test_a_token_is_sent(self):
        with ScriptedServer() as server:
            EpisodeClient(server.url, token="s3cret").begin("do it", "desktop")
            self.assertEqual(server.headers[0]["Authorization"], "Bearer s3cret")


class Picture(unittest.TestCase):
    def test_rows_of_a_png_are_the_pixels(self):
        rgb = bytes(range(2 * 3 * 3))
        data = png(Pixels(3, 2, rgb))
        self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">II", data[16:24]), (3, 2))
        start = data.index(b"IDAT")
        length = struct.unpack(">I", data[start - 4 : start])[0]
        rows = zlib.decompress(data[start + 4 : start + 4 + length])
        self.assertEqual(rows, b"\0" + rgb[:9] + b"\0" + rgb[9:])
        self.assertEqual(struct.unpack(">I", data[29:33])[0], zlib.crc32(data[12:29]))

    def test_other_pixels_are_refused(self):
        with self.assertRaises(ValueError):
            png(Pixels(3, 2, bytes(18), dtype="float64"))


if __name__ == "__main__":
    unittest.main()
