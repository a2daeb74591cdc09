using VoicePlatform.Agent.Audio;

namespace VoicePlatform.Tests.Agent;

internal sealed class AudioTests
{
    private readonly VoiceActivity _voice = new();
    private readonly Random _random = new(1);

    [Test]
    public void Speech_starts_after_three_loud_frames_and_stops_after_its_pause()
    {
        Feed(50, Noise(10));
        var started = Feed(10, Tone(3000));
        var stopped = Feed(20, Noise(10));

        Assert.That(started.IndexOf(Activity.Started), Is.EqualTo(2));
        Assert.That(stopped.IndexOf(Activity.Stopped), Is.EqualTo(14), "300 ms");
        Assert.That(_voice.SilentFrames, Is.EqualTo(20));
    }

    [Test]
    public void A_click_is_no_speech()
    {
        Feed(50, Noise(10));
        var heard = Feed(2, Tone(20_000)).Concat(Feed(30, Noise(10)));

        Assert.That(heard, Has.All.EqualTo(Activity.Silence));
    }

    [Test]
    public void A_pause_between_words_does_not_end_speech()
    {
        Feed(50, Noise(10));
        Feed(10, Tone(3000));
        Feed(12, Noise(10));

        Assert.That(Feed(10, Tone(3000)), Has.All.EqualTo(Activity.Speech));
    }

    [TestCase(0)]
    [TestCase(30)]
    [TestCase(100)]
    public void Quiet_rooms_are_silent(int amplitude) => Assert.That(Feed(500, Noise(amplitude)), Has.All.EqualTo(Activity.Silence));

    [Test]
    public void Steady_noise_becomes_the_room_and_a_voice_above_it_is_still_speech()
    {
        Feed(1000, Noise(400));
        Assert.That(_voice.IsSpeech, Is.False);

        Assert.That(Feed(10, Tone(8000)), Does.Contain(Activity.Started));
    }

    [Test]
    public void The_audio_path_allocates_nothing()
    {
        var frame = Tone(3000)();
        _voice.Next(frame);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            _voice.Next(frame);
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    [Test]
    public void Silence_around_a_voice_is_trimmed_to_what_is_asked_for()
    {
        var audio = new short[16_000];
        Array.Fill(audio, (short)40);
        audio.AsSpan(4000, 8000).Fill(5000);

        var trimmed = Silence.Trim(audio, TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(150));

        Assert.That(trimmed.Length, Is.EqualTo(320 + 8000 + 2400));
        Assert.That(trimmed[320..8320].ToArray(), Has.All.EqualTo(5000));
    }

    [Test]
    public void Silence_is_never_added_and_nothing_but_silence_is_nothing()
    {
        var audio = new short[1000];
        Assert.That(Silence.Trim(audio, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1)).Length, Is.Zero);
        Assert.That(Silence.Trim([], TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1)).Length, Is.Zero);

        audio[500] = short.MinValue;
        Assert.That(Silence.Trim(audio, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1)).Length, Is.EqualTo(1000));
        Assert.That(Silence.Trim(audio, TimeSpan.Zero, TimeSpan.Zero).Length, Is.EqualTo(1));
    }

    private List<Activity> Feed(int frames, Func<short[]> frame) => [.. Enumerable.Range(0, frames).Select(_ => _voice.Next(frame()))];

    private Func<short[]> Noise(int amplitude) => () => [.. Enumerable.Range(0, Pcm.FrameSamples).Select(_ => (short)_random.Next(-amplitude, amplitude + 1))];

    private static Func<short[]> Tone(double amplitude) => () => [.. Enumerable.Range(0, Pcm.FrameSamples).Select(i => (short)(amplitude * Math.Sin(i * 0.2)))];
}
