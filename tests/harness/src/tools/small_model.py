"""Serves SmolLM2 with llama.cpp: small_model.py PORT WEIGHTS"""

import os
import signal
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[2]
params.model_alias = ["smollm2"]
params.hostnames = ["127.0.0.1"]
params.port = int(sys.argv[1])
params.n_ctx = 8192
params.n_parallel = 4
params.n_gpu_layers = 0
# Half of the processors: the rest is for Envoy, and waiting threads spin.
params.cpuparams.n_threads = max(1, (os.cpu_count() or 2) // 2)
params.use_jinja = True
server = xllamacpp.Server(params)
print("listening", server.listening_address, flush=True)
signal.pause()
