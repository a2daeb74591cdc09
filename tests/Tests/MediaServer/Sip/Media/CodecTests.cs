using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Media.Codecs;

namespace VoicePlatform.Tests.MediaServer.Sip.Media;

internal sealed class CodecTests
{
    [TestCase(PhoneCodec.Pcmu, 700, 8_000, 33)]
    [TestCase(PhoneCodec.Pcma, 700, 8_000, 33)]
    [TestCase(PhoneCodec.Pcmu, 700, 400, 28)]
    [TestCase(PhoneCodec.Pcma, 700, 400, 28)]
    [TestCase(PhoneCodec.G722, 700, 8_000, 25)]
    [TestCase(PhoneCodec.G722, 5_500, 8_000, 11)]
    [TestCase(PhoneCodec.G722, 700, 400, 20)]
    public void A_tone_survives_coding(PhoneCodec codec, double hertz, int amplitude, double leastDb)
    {
        using var encoder = Encoder(codec);
        using var decoder = new PhoneDecoders();
        var original = Sound.Tone(hertz, codec.Rate(), codec.Rate() / 2, amplitude: amplitude);
        var payload = new byte[original.Length];
        var length = encoder.Encode(original, payload);
        var copy = new short[original.Length];
        var samples = decoder.Of((byte)codec).Decode(payload.AsSpan(0, length), copy);

        Assert.That(length, Is.EqualTo(4_000));
        Assert.That(samples, Is.EqualTo(original.Length));
        var settled = original.Length / 10;
        Assert.That(Sound.SignalToNoise(original.AsSpan(settled), copy.AsSpan(settled), 32), Is.GreaterThan(leastDb));
        Assert.That(Math.Sqrt(Sound.Power(copy) / Sound.Power(original)), Is.EqualTo(1).Within(0.1));
    }

    [TestCase(PhoneCodec.Pcmu)]
    [TestCase(PhoneCodec.Pcma)]
    public void Every_code_of_G711_comes_back_as_itself(PhoneCodec codec)
    {
        var law = codec == PhoneCodec.Pcmu ? G711.Mu : G711.A;
        var codes = Enumerable.Range(0, 256).Select(i => (byte)i).ToArray();
        var pcm = new short[256];
        law.Decode(codes, pcm);
        var again = new byte[256];
        law.Encode(pcm, again);
        var second = new short[256];
        law.Decode(again, second);
        Assert.That(second, Is.EqualTo(pcm));       // µ-law has two zeros
    }

    [Test]
    public void G711_is_what_the_recommendation_says()
    {
        var pcm = new short[4];
        G711.Mu.Decode([0x00, 0x80, 0xFF, 0x7F], pcm);
        Assert.That(pcm, Is.EqualTo(new short[] { -32124, 32124, 0, 0 }));
        G711.A.Decode([0xD5, 0x55, 0xAA, 0x2A], pcm);
        Assert.That(pcm, Is.EqualTo(new short[] { 8, -8, 32256, -32256 }));
        var code = new byte[2];
        G711.Mu.Encode([short.MaxValue, short.MinValue], code);
        Assert.That(code, Is.EqualTo(new byte[] { 0x80, 0x00 }));
        G711.A.Encode([short.MaxValue, short.MinValue], code);
        Assert.That(code, Is.EqualTo(new byte[] { 0xAA, 0x2A }));
    }

    [TestCase(8_000)]
    [TestCase(16_000)]
    [TestCase(48_000)]
    public void Opus_keeps_a_tone_at_every_rate_without_a_resampler(int rate)
    {
        using var encoder = new OpusEncoder(rate, 5);
        using var decoder = new OpusDecoder(rate);
        var (frame, payload, heard) = (rate / 50, new byte[1_275], new List<short>());
        for (var i = 0; i < 50; i++)
        {
            var length = encoder.Encode(Sound.Tone(700, rate, frame, i * frame), payload);
            var pcm = new short[rate * 120 / 1_000];
            var samples = decoder.Decode(payload.AsSpan(0, length), pcm);
            Assert.That(samples, Is.EqualTo(frame));
            heard.AddRange(pcm[..samples]);
        }

        Assert.That(Sound.Share(heard.ToArray().AsSpan(rate / 2), 700, rate), Is.GreaterThan(0.98));
    }

    [Test]
    public void Decoders_survive_whatever_comes()
    {
        var random = new Random(3);
        using var decoders = new PhoneDecoders();
        var pcm = new short[48 * IVoiceDecoder.MaxMilliseconds];
        for (var i = 0; i < 4_000; i++)
        {
            var payload = new byte[random.Next(1_500)];
            random.NextBytes(payload);
            var decoder = decoders.Of((byte)random.Next(4));
            var room = pcm.AsSpan(0, decoder.Rate * IVoiceDecoder.MaxMilliseconds / 1_000);
            Assert.That(decoder.Decode(payload, room), Is.InRange(0, room.Length));
            decoder.TryConceal(random.Next(2) == 0 ? default : payload, room[..(decoder.Rate / 50)]);
        }
    }

    internal static IVoiceEncoder Encoder(PhoneCodec codec) => codec switch
    {
        PhoneCodec.Opus => new OpusEncoder(48_000, 5),
        PhoneCodec.G722 => new G722Encoder(),
        PhoneCodec.Pcmu => G711.Mu,
        _ => G711.A,
    };
}
