using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace VoicePlatform.Bench;

/// <summary>
/// As many requests as a few connections can make, one after the other on each: the bytes are made once and the answer is only counted, so that the
/// client, which shares the machine, costs as little as a client can.
/// </summary>
internal static class HttpLoad
{
    /// <param name="requests">One a connection: its method, path, headers and body.</param>
    /// <returns>Requests a second.</returns>
    /// <exception cref="InvalidOperationException">An answer was no success.</exception>
    public static async Task<double> RunAsync(Uri host, IReadOnlyList<string> requests, TimeSpan duration, CancellationToken ct)
    {
        var clock = Stopwatch.StartNew();
        var counts = await Task.WhenAll(requests.Select(request => Task.Run(() => LoopAsync(host, Encoding.UTF8.GetBytes(request), duration, ct), ct)));
        return counts.Sum() / clock.Elapsed.TotalSeconds;
    }

    public static string Request(Uri host, string method, string path, string? key, string? body = null) =>
        $"{method} {path} HTTP/1.1\r\nHost: {host.Authority}\r\n"
        + (key is null ? "" : $"x-api-key: {key}\r\n")
        + (body is null ? "\r\n" : $"Content-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");

    private static async Task<int> LoopAsync(Uri host, byte[] request, TimeSpan duration, CancellationToken ct)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, host.Port, ct);
        var buffer = new byte[64 * 1024];
        var clock = Stopwatch.StartNew();
        var count = 0;
        while (clock.Elapsed < duration)
        {
            await socket.SendAsync(request, ct);
            await ReadAnswerAsync(socket, buffer, ct);
            count++;
        }

        return count;
    }

    private static async ValueTask ReadAnswerAsync(Socket socket, byte[] buffer, CancellationToken ct)
    {
        for (var length = 0; ;)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(length), ct);
            length += read;
            if (read == 0)
            {
                throw new InvalidOperationException("The host closed the connection.");
            }

            if (IsWhole(buffer.AsSpan(0, length)))
            {
                return;
            }
        }
    }

    private static bool IsWhole(ReadOnlySpan<byte> answer)
    {
        var end = answer.IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            return false;
        }

        if (!answer.StartsWith("HTTP/1.1 2"u8))
        {
            throw new InvalidOperationException(Encoding.UTF8.GetString(answer));
        }

        var head = answer[..end];
        var at = head.IndexOf("Content-Length: "u8);
        if (at < 0)
        {
            return answer.EndsWith("0\r\n\r\n"u8);      // In chunks: the last one is empty.
        }

        var digits = head[(at + "Content-Length: "u8.Length)..];
        var line = digits.IndexOf((byte)'\r');
        return answer.Length >= end + 4 + int.Parse(line < 0 ? digits : digits[..line], null);
    }
}
