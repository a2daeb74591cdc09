using System.Runtime.InteropServices;
using VoicePlatform.MediaServer.Sip.Media.Codecs;

namespace VoicePlatform.IntegrationTests.MediaServer.Sip.Media;

/// <summary>Our G.722 against spandsp's, which passes the ITU's test vectors: bit for bit.</summary>
internal sealed unsafe partial class G722AgainstAnotherTests
{
    private const string Library = "libspandsp.so.2";
    private const int BitRate = 64_000;

    private static readonly short[] s_sound = Sound();

    [Test]
    public void Our_encoder_gives_the_same_bytes()
    {
        var expected = new byte[s_sound.Length / 2];
        var state = g722_encode_init(0, BitRate, 0);
        fixed (short* pcm = s_sound)
        fixed (byte* code = expected)
        {
            Assert.That(g722_encode(state, code, pcm, s_sound.Length), Is.EqualTo(expected.Length));
        }

        _ = g722_encode_free(state);
        var ours = new byte[expected.Length];
        new G722Encoder().Encode(s_sound, ours);
        Assert.That(ours.SequenceEqual(expected), Is.True);
    }

    [Test]
    public void Our_decoder_gives_the_same_sound_for_any_bytes()
    {
        var code = new byte[16_000];
        new Random(5).NextBytes(code);
        new G722Encoder().Encode(s_sound.AsSpan(0, 16_000), code.AsSpan(0, 8_000));
        var expected = new short[2 * code.Length];
        var state = g722_decode_init(0, BitRate, 0);
        fixed (short* pcm = expected)
        fixed (byte* bytes = code)
        {
            Assert.That(g722_decode(state, pcm, bytes, code.Length), Is.EqualTo(expected.Length));
        }

        _ = g722_decode_free(state);
        var ours = new short[expected.Length];
        new G722Decoder().Decode(code, ours);

        // Random bytes ask for more than full scale: there ours is limited and the other's wraps round.
        var differences = ours.Zip(expected).Where(s => s.First != s.Second).ToList();
        Assert.That(differences.All(d => d.First is short.MaxValue or short.MinValue), Is.True);
        Assert.That(differences, Has.Count.LessThan(ours.Length / 50));
    }

    /// <summary>Tones, noise, silence and full scale.</summary>
    private static short[] Sound()
    {
        var random = new Random(4);
        return [.. Enumerable.Range(0, 64_000).Select(i => (i / 8_000) switch
        {
            0 or 5 => (short)(12_000 * Math.Sin(i * 0.2)),
            1 => (short)random.Next(-3_000, 3_000),
            2 => (short)0,
            3 => (short)(i % 80 < 40 ? short.MaxValue : short.MinValue),
            4 => (short)random.Next(short.MinValue, short.MaxValue + 1),
            _ => (short)(300 * Math.Sin(i * 1.9)),
        })];
    }

    [LibraryImport(Library)]
    private static partial nint g722_encode_init(nint state, int bitRate, int options);

    [LibraryImport(Library)]
    private static partial int g722_encode(nint state, byte* code, short* pcm, int samples);

    [LibraryImport(Library)]
    private static partial int g722_encode_free(nint state);

    [LibraryImport(Library)]
    private static partial nint g722_decode_init(nint state, int bitRate, int options);

    [LibraryImport(Library)]
    private static partial int g722_decode(nint state, short* pcm, byte* code, int bytes);

    [LibraryImport(Library)]
    private static partial int g722_decode_free(nint state);
}
