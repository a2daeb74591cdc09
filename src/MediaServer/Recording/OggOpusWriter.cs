using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.MediaServer.Recording;

/// <summary>
/// Writes an Ogg Opus file (RFC 3533, RFC 7845), a page at a time: whatever ends the process, what was written so far plays.
/// </summary>
/// <remarks>Not thread-safe. Pages hold a second of sound, so that no more than that is lost.</remarks>
internal sealed class OggOpusWriter : IAsyncDisposable
{
    /// <summary>What the decoder drops at the start, at 48 kHz: libopus's look-ahead.</summary>
    public const int PreSkip = 312;

    private const int PacketsPerPage = 50;
    private const int MaxSegments = 255;
    private const int SegmentBytes = 255;
    private const int HeaderBytes = 27;
    private const byte FirstPage = 2;
    private const byte LastPage = 4;

    private static readonly uint[] s_crc = CrcTable();

    private readonly Stream _file;
    private readonly uint _serial = (uint)RandomNumberGenerator.GetInt32(int.MaxValue);
    private readonly List<byte> _lacing = new(MaxSegments);
    private readonly MemoryStream _body = new(64 * 1024);
    private int _packets;
    private uint _pages;
    private long _samples;

    private OggOpusWriter(Stream file) => _file = file;

    /// <summary>Bytes written so far, the page in the making not counted.</summary>
    public long Bytes { get; private set; }

    /// <summary>How much sound was taken.</summary>
    public TimeSpan Duration => TimeSpan.FromTicks(_samples * TimeSpan.TicksPerSecond / 48_000);

    /// <summary>Begins a file.</summary>
    /// <param name="file">Owned by the writer from now on.</param>
    /// <param name="channels">1 or 2.</param>
    /// <param name="inputRate">What was recorded, in Hz; for information, the file always plays at 48 kHz.</param>
    /// <param name="comments">As "NAME=value".</param>
    /// <param name="ct">Stops.</param>
    public static async Task<OggOpusWriter> CreateAsync(Stream file, int channels, int inputRate, IReadOnlyList<string> comments, CancellationToken ct)
    {
        var writer = new OggOpusWriter(file);
        var head = new byte[19];
        "OpusHead"u8.CopyTo(head);
        (head[8], head[9]) = (1, (byte)channels);
        BinaryPrimitives.WriteUInt16LittleEndian(head.AsSpan(10), PreSkip);
        BinaryPrimitives.WriteUInt32LittleEndian(head.AsSpan(12), (uint)inputRate);
        writer.Put(head);
        await writer.FlushAsync(FirstPage, granule: 0, ct);

        writer.Put(Tags(comments));
        await writer.FlushAsync(0, granule: 0, ct);
        return writer;
    }

    /// <summary>Takes one Opus packet.</summary>
    /// <param name="packet">At most 1,275 bytes.</param>
    /// <param name="samples">Its duration at 48 kHz.</param>
    /// <param name="ct">Stops.</param>
    public ValueTask WriteAsync(ReadOnlySpan<byte> packet, int samples, CancellationToken ct)
    {
        // A page is written before the packet that no longer fits, so that the last one of the file is never empty.
        var isFull = _packets == PacketsPerPage || _lacing.Count + (packet.Length / SegmentBytes) + 1 > MaxSegments;
        if (!isFull)
        {
            Put(packet);
            _samples += samples;
            return ValueTask.CompletedTask;
        }

        return FlushThenAsync(packet.ToArray(), samples, ct);
    }

    /// <summary>Ends the file.</summary>
    public async Task CompleteAsync(CancellationToken ct)
    {
        await FlushAsync(LastPage, _samples, ct);
        await _file.FlushAsync(ct);
    }

    public ValueTask DisposeAsync() => _file.DisposeAsync();

    private static byte[] Tags(IReadOnlyList<string> comments)
    {
        using var tags = new MemoryStream();
        using var writer = new BinaryWriter(tags, Encoding.UTF8);
        writer.Write("OpusTags"u8);
        Text("VoicePlatform");
        writer.Write(comments.Count);
        foreach (var comment in comments)
        {
            Text(comment);
        }

        writer.Flush();
        return tags.ToArray();

        void Text(string text)
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            writer.Write(bytes.Length);
            writer.Write(bytes);
        }
    }

    private static uint[] CrcTable()
    {
        var table = new uint[256];
        for (var i = 0u; i < table.Length; i++)
        {
            var value = i << 24;
            for (var bit = 0; bit < 8; bit++)
            {
                value = (value & 0x8000_0000) != 0 ? (value << 1) ^ 0x04C1_1DB7 : value << 1;
            }

            table[i] = value;
        }

        return table;
    }

    private async ValueTask FlushThenAsync(byte[] packet, int samples, CancellationToken ct)
    {
        await FlushAsync(0, _samples, ct);
        Put(packet);
        _samples += samples;
    }

    private void Put(ReadOnlySpan<byte> packet)
    {
        for (var rest = packet.Length; ; rest -= SegmentBytes)
        {
            _lacing.Add((byte)Math.Min(rest, SegmentBytes));
            if (rest < SegmentBytes)
            {
                break;
            }
        }

        _body.Write(packet);
        _packets++;
    }

    private async Task FlushAsync(byte flags, long granule, CancellationToken ct)
    {
        var page = new byte[HeaderBytes + _lacing.Count + (int)_body.Length];
        "OggS"u8.CopyTo(page);
        page[5] = flags;
        BinaryPrimitives.WriteInt64LittleEndian(page.AsSpan(6), granule);
        BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(14), _serial);
        BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(18), _pages++);
        page[26] = (byte)_lacing.Count;
        _lacing.CopyTo(page, HeaderBytes);
        _body.GetBuffer().AsSpan(0, (int)_body.Length).CopyTo(page.AsSpan(HeaderBytes + _lacing.Count));
        BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(22), Crc(page));
        (_packets, _body.Position) = (0, 0);
        _body.SetLength(0);
        _lacing.Clear();
        await _file.WriteAsync(page, ct);
        await _file.FlushAsync(ct);
        Bytes += page.Length;
    }

    private static uint Crc(ReadOnlySpan<byte> page)
    {
        var crc = 0u;
        foreach (var b in page)
        {
            crc = (crc << 8) ^ s_crc[(crc >> 24) ^ b];
        }

        return crc;
    }
}
