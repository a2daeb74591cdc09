using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>A target of an SRV record (RFC 2782).</summary>
internal readonly record struct SrvRecord(int Priority, int Weight, int Port, string Host);

/// <summary>Asks a name server for SRV records: one question over UDP, as the framework cannot.</summary>
internal static class SrvQuery
{
    private const ushort TypeSrv = 33;
    private const ushort ClassInternet = 1;
    private const int HeaderLength = 12;
    private const int MaxRecords = 32;
    private const int MaxName = 255;

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);

    /// <summary>The first name server of <c>/etc/resolv.conf</c>, or null.</summary>
    public static IPEndPoint? SystemServer()
    {
        try
        {
            foreach (var line in File.ReadLines("/etc/resolv.conf"))
            {
                var words = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
                if (words is ["nameserver", var address, ..] && IPAddress.TryParse(address, out var server))
                {
                    return new IPEndPoint(server, 53);
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A system without the file: names resolve without SRV records.
        }

        return null;
    }

    /// <summary>The records, unordered; none where there are none or nobody answered in time.</summary>
    public static async Task<IReadOnlyList<SrvRecord>> AskAsync(IPEndPoint server, string name, TimeProvider clock, CancellationToken ct)
    {
        if (Encode(name) is not { } question)
        {
            return [];
        }

        using var socket = new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        using var patience = new CancellationTokenSource(Timeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, ct);
        var buffer = new byte[4_096];
        try
        {
            await socket.ConnectAsync(server, either.Token);
            await socket.SendAsync(question, either.Token);
            while (true)
            {
                var length = await socket.ReceiveAsync(buffer, either.Token);
                if (length >= HeaderLength && buffer.AsSpan(0, 2).SequenceEqual(question.AsSpan(0, 2)))
                {
                    return Decode(buffer.AsSpan(0, length));
                }
            }
        }
        catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            return [];
        }
    }

    /// <summary>The records of a response. A malformed one gives those before the fault.</summary>
    internal static IReadOnlyList<SrvRecord> Decode(ReadOnlySpan<byte> message)
    {
        var records = new List<SrvRecord>();
        if (message.Length < HeaderLength || (message[3] & 0x0F) != 0)
        {
            return records;
        }

        var questions = BinaryPrimitives.ReadUInt16BigEndian(message[4..]);
        var answers = BinaryPrimitives.ReadUInt16BigEndian(message[6..]);
        var at = HeaderLength;
        for (var i = 0; i < questions; i++)
        {
            if (!TryReadName(message, ref at, out _))
            {
                return records;
            }

            at += 4;
        }

        for (var i = 0; i < answers && records.Count < MaxRecords; i++)
        {
            if (!TryReadName(message, ref at, out _) || at + 10 > message.Length)
            {
                return records;
            }

            var type = BinaryPrimitives.ReadUInt16BigEndian(message[at..]);
            var length = BinaryPrimitives.ReadUInt16BigEndian(message[(at + 8)..]);
            at += 10;
            if (at + length > message.Length)
            {
                return records;
            }

            var host = at + 6;
            if (type == TypeSrv && length > 6 && TryReadName(message, ref host, out var target) && target.Length > 0)
            {
                var data = message[at..];
                records.Add(new SrvRecord(
                    BinaryPrimitives.ReadUInt16BigEndian(data),
                    BinaryPrimitives.ReadUInt16BigEndian(data[2..]),
                    BinaryPrimitives.ReadUInt16BigEndian(data[4..]),
                    target));
            }

            at += length;
        }

        return records;
    }

    private static byte[]? Encode(string name)
    {
        var question = new List<byte>(64) { 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 };      // recursion desired, one question
        foreach (var label in name.TrimEnd('.').Split('.'))
        {
            if (label.Length is 0 or > 63)
            {
                return null;
            }

            question.Add((byte)label.Length);
            question.AddRange(Encoding.ASCII.GetBytes(label));
        }

        question.AddRange([0, 0, (byte)TypeSrv, 0, (byte)ClassInternet]);
        var bytes = question.ToArray();
        RandomNumberGenerator.Fill(bytes.AsSpan(0, 2));
        return bytes.Length > HeaderLength + MaxName + 5 ? null : bytes;
    }

    private static bool TryReadName(ReadOnlySpan<byte> message, ref int at, out string name)
    {
        var text = new StringBuilder();
        name = "";
        var (read, jumps) = (at, 0);
        var hasJumped = false;
        while (read < message.Length)
        {
            var length = message[read];
            if ((length & 0xC0) == 0xC0)
            {
                // A pointer to an earlier name; a few are enough, and a ring of them ends.
                if (read + 1 >= message.Length || ++jumps > 8)
                {
                    return false;
                }

                at = hasJumped ? at : read + 2;
                hasJumped = true;
                read = ((length & 0x3F) << 8) | message[read + 1];
                continue;
            }

            read++;
            if (length == 0)
            {
                at = hasJumped ? at : read;
                name = text.ToString();
                return true;
            }

            if (length > 63 || read + length > message.Length || text.Length + length > MaxName)
            {
                return false;
            }

            text.Append(text.Length == 0 ? "" : ".").Append(Encoding.ASCII.GetString(message.Slice(read, length)));
            read += length;
        }

        return false;
    }
}
