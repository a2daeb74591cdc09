using System.Buffers.Binary;

namespace VoicePlatform.MediaServer.Recording;

/// <summary>Reads what is needed of an Ogg Opus file: how long it is.</summary>
internal static class OggOpusReader
{
    private const int HeaderBytes = 27;
    private const int Tail = 256 * 1024;      // the largest page has 64 KB

    /// <summary>Duration by the last whole page; of a file that a crash cut off, up to there.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static Recorded Measure(string path)
    {
        using var file = File.OpenRead(path);
        var length = file.Length;
        file.Position = Math.Max(0, length - Tail);
        var tail = new byte[(int)Math.Min(length, Tail)];
        file.ReadExactly(tail);
        long granule = 0;
        for (var at = 0; tail.AsSpan(at).IndexOf("OggS"u8) is >= 0 and var next; at++)
        {
            at += next;
            if (at + HeaderBytes <= tail.Length && IsWhole(tail, at))
            {
                granule = Math.Max(granule, BinaryPrimitives.ReadInt64LittleEndian(tail.AsSpan(at + 6)));
            }
        }

        return new Recorded(TimeSpan.FromTicks(Math.Max(0, granule) * TimeSpan.TicksPerSecond / 48_000), length);
    }

    private static bool IsWhole(byte[] tail, int at)
    {
        int segments = tail[at + 26];
        if (at + HeaderBytes + segments > tail.Length)
        {
            return false;
        }

        var body = 0;
        foreach (var lacing in tail.AsSpan(at + HeaderBytes, segments))
        {
            body += lacing;
        }

        return at + HeaderBytes + segments + body <= tail.Length;
    }
}
