"""llama.cpp's side of the benchmark `generate`: MODEL THREADS, then one case a line on stdin, seconds on stdout.

A case is `CLOCK WARM DECODED ID,ID,...`: the first WARM ids are run before the clock starts, then the others, then
DECODED times a fixed token. CLOCK is `wall` or `cpu`. Needs `pip install llama-cpp-python`.
"""

import sys
import time

from llama_cpp import Llama


def main() -> None:
    model, threads = sys.argv[1], int(sys.argv[2])
    llm = Llama(model, n_ctx=2048, n_batch=512, n_threads=threads, n_threads_batch=threads, verbose=False)
    print("ready", flush=True)
    for line in sys.stdin:
        kind, warm, decoded, ids = line.split()
        clock = time.process_time if kind == "cpu" else time.perf_counter
        ids = [int(id) for id in ids.split(",")]
        llm.reset()
        if int(warm):
            llm.eval(ids[: int(warm)])
        start = clock()
        if ids[int(warm) :]:
            llm.eval(ids[int(warm) :])
        for _ in range(int(decoded)):
            llm.eval([1000])
        print(clock() - start, flush=True)


if __name__ == "__main__":
    main()
