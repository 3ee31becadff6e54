"""llama.cpp's own server on a free port, for as long as somebody keeps our standard input open.

    python tests/python/llama_server.py MODEL.gguf MMPROJ.gguf

Prints its address. `xllamacpp` is a packaged build of llama.cpp.
"""

import sys

import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.mmproj.path = sys.argv[1:]
parameters.model_alias = {"tiny"}
parameters.hostnames = ["127.0.0.1"]
parameters.port = 0
parameters.n_ctx = 4096
parameters.n_parallel = 1
parameters.cpuparams.n_threads = 2
parameters.warmup = False
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()
