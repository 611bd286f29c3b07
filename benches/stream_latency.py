"""The time from lines on a socket to the answer that holds them.

    python stream_latency.py PLEIAD LINES [BATCHES]

Serves 100 lines of the file LINES at a time, waits until the console of a standing query has shown an answer
that counts them all, and sends the next. Prints milliseconds: median, 99th of a hundred, longest.
"""
import itertools, json, socket, subprocess, sys, time

pleiad, path, batches = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1000
server = socket.create_server(("127.0.0.1", 0))
columns = """"Arrival_Time" TIMESTAMP, "Creation_Time" TIMESTAMP, "Device" VARCHAR, "Index" BIGINT, "Model" VARCHAR,
  "User" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE"""
script = f"""CREATE UNBOUNDED EXTERNAL TABLE iot ({columns})
STORED AS JSON LOCATION 'tcp://127.0.0.1:{server.getsockname()[1]}' OPTIONS ('on_close' 'end');
CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout' OPTIONS ('mode' 'complete');
INSERT INTO console SELECT gt, count(*) AS n FROM drop_nulls(iot) GROUP BY gt;"""
process = subprocess.Popen([pleiad, "-q", "run", "-", "--format", "csv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
process.stdin.write(script.encode())
process.stdin.close()
connection, _ = server.accept()
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

expected, found, seconds = 0, {}, []
with open(path, "rb") as lines:
    for _ in range(batches):
        sent = list(itertools.islice(lines, 100))
        whole = [row for row in map(json.loads, sent) if None not in row.values()]
        expected += len(whole)
        started = time.perf_counter()
        connection.sendall(b"".join(sent))
        while sum(found.values()) < expected:
            name, _, count = process.stdout.readline().decode().strip().rpartition(",")
            if count.isdigit():
                found[name] = int(count)
        seconds.append(time.perf_counter() - started)
        time.sleep(0.01)
connection.close()
process.stdout.read()
if process.wait() != 0:
    sys.exit("pleiad has failed")
seconds = sorted(1000 * second for second in seconds[10:])  # the first ones plan and connect
print(f"{len(seconds)} batches of 100 lines: median {seconds[len(seconds) // 2]:.2f} ms, "
      f"p99 {seconds[len(seconds) * 99 // 100]:.2f} ms, longest {seconds[-1]:.2f} ms")
