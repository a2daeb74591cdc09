using VoicePlatform.Agent.Audio;

namespace VoicePlatform.Tests.Agent;

internal sealed class BeepDetectorTests
{
    [TestCase(440)]
    [TestCase(1000)]
    [TestCase(1425)]
    [TestCase(2000)]
    public void A_machines_tone_is_found_when_it_ends(int hz)
    {
        var detector = new BeepDetector();
        Assert.That(Feed(detector, 30, t => Math.Sin(2 * Math.PI * hz * t)), Is.Zero, "It is not over.");
        Assert.That(Feed(detector, 5, _ => 0), Is.EqualTo(1));
    }

    [Test]
    public void A_click_of_a_tone_is_none()
    {
        var detector = new BeepDetector();
        Assert.That(Feed(detector, 4, t => Math.Sin(2 * Math.PI * 1000 * t)) + Feed(detector, 20, _ => 0), Is.Zero);
    }

    [Test]
    public void A_voice_is_none()
    {
        // A glottal source: a fundamental that wanders, with its harmonics.
        var detector = new BeepDetector();
        var found = Feed(detector, 200, t =>
        {
            var pitch = 120 + (20 * Math.Sin(2 * Math.PI * 3 * t));
            return Enumerable.Range(1, 12).Sum(n => Math.Sin(2 * Math.PI * pitch * n * t) / n) / 2;
        });
        Assert.That(found + Feed(detector, 5, _ => 0), Is.Zero);
    }

    [Test]
    public void Two_tones_at_a_time_are_none()
    {
        var detector = new BeepDetector();
        Assert.That(Feed(detector, 40, t => (Math.Sin(2 * Math.PI * 697 * t) + Math.Sin(2 * Math.PI * 1336 * t)) / 2) + Feed(detector, 5, _ => 0), Is.Zero);
    }

    [Test]
    public void Noise_and_silence_are_none()
    {
        var detector = new BeepDetector();
        var random = new Random(1);
        Assert.That(Feed(detector, 300, _ => (random.NextDouble() * 2) - 1) + Feed(detector, 300, _ => 0), Is.Zero);
    }

    private static int Feed(BeepDetector detector, int frames, Func<double, double> wave)
    {
        var found = 0;
        var frame = new short[Pcm.FrameSamples];
        for (var f = 0; f < frames; f++)
        {
            for (var i = 0; i < frame.Length; i++)
            {
                frame[i] = (short)(Math.Clamp(wave(((f * frame.Length) + i) / (double)Pcm.SampleRate), -1, 1) * 12_000);
            }

            found += detector.Next(frame) ? 1 : 0;
        }

        return found;
    }
}
