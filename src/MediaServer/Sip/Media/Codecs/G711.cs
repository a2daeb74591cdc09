using System.Numerics;

namespace VoicePlatform.MediaServer.Sip.Media.Codecs;

/// <summary>ITU-T G.711 by table: 8 kHz, one byte a sample.</summary>
internal sealed class G711 : IVoiceDecoder, IVoiceEncoder
{
    private const int MuBias = 0x84;
    private const int MuClip = 32_635;

    private readonly short[] _decode;
    private readonly byte[] _encode;        // by the upper 14 bits of a sample, the most either law keeps

    private G711(Func<byte, short> decode, Func<short, byte> encode)
    {
        _decode = new short[256];
        for (var code = 0; code < 256; code++)
        {
            _decode[code] = decode((byte)code);
        }

        _encode = new byte[1 << 14];
        for (var i = 0; i < _encode.Length; i++)
        {
            _encode[i] = encode((short)((i << 2) + 2 + short.MinValue));      // the middle of the four
        }
    }

    /// <summary>µ-law. Without state: one for all.</summary>
    public static G711 Mu { get; } = new(DecodeMu, EncodeMu);

    /// <summary>A-law. Without state: one for all.</summary>
    public static G711 A { get; } = new(DecodeA, EncodeA);

    public int Rate => 8_000;

    public int Decode(ReadOnlySpan<byte> payload, Span<short> pcm)
    {
        var length = Math.Min(payload.Length, pcm.Length);
        for (var i = 0; i < length; i++)
        {
            pcm[i] = _decode[payload[i]];
        }

        return length;
    }

    public bool TryConceal(ReadOnlySpan<byte> next, Span<short> pcm) => false;

    public int Encode(ReadOnlySpan<short> pcm, Span<byte> payload)
    {
        for (var i = 0; i < pcm.Length; i++)
        {
            payload[i] = _encode[(pcm[i] - short.MinValue) >> 2];
        }

        return pcm.Length;
    }

    public void Dispose()
    {
        // Shared by all calls.
    }

    private static short DecodeMu(byte code)
    {
        var inverted = (byte)~code;
        var magnitude = ((((inverted & 0x0F) << 3) + MuBias) << ((inverted >> 4) & 7)) - MuBias;
        return (short)((inverted & 0x80) != 0 ? -magnitude : magnitude);
    }

    private static byte EncodeMu(short sample)
    {
        var sign = sample < 0 ? 0x80 : 0;
        var magnitude = Math.Min(sample < 0 ? -sample : sample, MuClip) + MuBias;
        var segment = BitOperations.Log2((uint)magnitude) - 7;
        return (byte)~(sign | (segment << 4) | ((magnitude >> (segment + 3)) & 0x0F));
    }

    private static short DecodeA(byte code)
    {
        var plain = code ^ 0x55;        // every other bit is sent inverted
        var segment = (plain >> 4) & 7;
        var magnitude = ((plain & 0x0F) << 4) + 8;
        if (segment > 0)
        {
            magnitude = (magnitude + 0x100) << (segment - 1);
        }

        return (short)((plain & 0x80) != 0 ? magnitude : -magnitude);
    }

    private static byte EncodeA(short sample)
    {
        var sign = sample >= 0 ? 0x80 : 0;
        var magnitude = (sample >= 0 ? sample : -sample - 1) >> 4;      // 12 bits
        var segment = magnitude < 0x10 ? 0 : BitOperations.Log2((uint)magnitude) - 3;
        return (byte)((sign | (segment << 4) | ((magnitude >> Math.Max(0, segment - 1)) & 0x0F)) ^ 0x55);
    }
}
