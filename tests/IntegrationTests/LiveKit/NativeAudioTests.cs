using System.Diagnostics;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.IntegrationTests.LiveKit;

/// <summary>LiveKit's client library without any server.</summary>
[RealTime]
internal sealed class NativeAudioTests
{
    [Test]
    public async Task A_full_queue_holds_the_writer_back_to_real_time()
    {
        using var source = Native.Engine.CreateAudioSource(new AudioSourceFormat(24_000, 1, 100));
        var frame = new short[480];
        var watch = Stopwatch.StartNew();
        for (var i = 0; i < 50; i++)
        {
            await source.CaptureAsync(frame, default);
        }

        // One second of audio less the queue; how much later on a busy machine says nothing.
        Assert.That(watch.Elapsed, Is.GreaterThan(TimeSpan.FromMilliseconds(700)));
        Assert.That(source.QueuedDuration, Is.LessThan(TimeSpan.FromMilliseconds(300)));
    }

    [Test]
    public async Task Clearing_releases_a_writer_at_once()
    {
        using var source = Native.Engine.CreateAudioSource(new AudioSourceFormat(24_000, 1, 2000));
        await source.CaptureAsync(new short[23_000], default);
        await source.CaptureAsync(new short[23_000], default);
        var held = source.CaptureAsync(new short[24_000], default).AsTask();
        var watch = Stopwatch.StartNew();

        source.Clear();
        await held;

        // Without the clearing it would take almost a second.
        Assert.That(watch.Elapsed, Is.LessThan(TimeSpan.FromMilliseconds(500)));
    }

    [Test]
    public void A_second_writer_is_refused()
    {
        using var source = Native.Engine.CreateAudioSource(new AudioSourceFormat(24_000, 1, 100));
        var first = source.CaptureAsync(new short[24_000], default).AsTask();

        Assert.ThrowsAsync<InvalidOperationException>(async () => await source.CaptureAsync(new short[480], default));
        source.Clear();
        Assert.DoesNotThrowAsync(() => first);
    }

    [Test]
    public void Capturing_allocates_nothing()
    {
        using var source = Native.Engine.CreateAudioSource(new AudioSourceFormat(24_000, 1, 2000));
        var frame = new short[480];

        // What a thread or a core keeps for itself (pools of buffers) fills in the first rounds, and is another's where we were moved to another core: what allocates
        // with every frame does so in every round.
        var least = long.MaxValue;
        for (var round = 0; round < 10 && least > 0; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            CaptureHere(source, frame);
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.That(least, Is.Zero);
    }

    /// <summary>Without awaiting, which could move us to another thread, whose allocations would not be counted.</summary>
    private static void CaptureHere(AudioSource source, short[] frame)
    {
        for (var i = 0; i < 20; i++)
        {
#pragma warning disable CA2012 // The result is taken once, when it is there.
            var captured = source.CaptureAsync(frame, default).GetAwaiter();
#pragma warning restore CA2012
            while (!captured.IsCompleted)
            {
                Thread.Yield();
            }

            captured.GetResult();
        }
    }

    [Test]
    public void A_tone_keeps_its_pitch_when_resampled()
    {
        using var resampler = Native.Engine.CreateResampler(24_000, 16_000, 1);
        var (tone, output) = (Tone.Make(440, 24_000, 24_000), new short[resampler.MaxOutput(24_000) * 2]);
        var length = 0;
        for (var at = 0; at < tone.Length; at += 480)
        {
            length += resampler.Push(tone.AsSpan(at, 480), output.AsSpan(length));
        }

        length += resampler.Flush(output.AsSpan(length));

        Assert.That(length, Is.EqualTo(16_000).Within(200));
        Assert.That(Tone.Share(output.AsSpan(2000, 8000), 440, 16_000), Is.GreaterThan(0.9));
    }

    [Test]
    public void Noise_is_suppressed()
    {
        using var processing = Native.Engine.CreateAudioProcessing(new AudioProcessingOptions());
        var random = new Random(1);
        var noise = new short[16_000 * 3];
        for (var i = 0; i < noise.Length; i++)
        {
            noise[i] = (short)random.Next(-800, 800);
        }

        var before = Tone.Power(noise.AsSpan(32_000));
        for (var at = 0; at < noise.Length; at += 320)
        {
            processing.Process(noise.AsSpan(at, 320), 16_000, 1);
        }

        Assert.That(Tone.Power(noise.AsSpan(32_000)), Is.LessThan(before / 4));
    }

    [Test]
    public void A_second_engine_is_refused_in_one_sentence()
    {
        _ = Native.Engine;

        var e = Assert.Throws<RtcException>(() => _ = new RtcEngine(Native.Library(), Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance, TimeProvider.System))!;
        Assert.That(e.Message, Does.Contain("one engine at a time"));
    }

    [Test]
    public void A_server_that_is_not_there_is_a_clear_error()
    {
        var options = new RoomOptions { ConnectTimeout = TimeSpan.FromSeconds(2), JoinRetries = 0 };

        var e = Assert.ThrowsAsync<RtcException>(() => Native.Engine.ConnectAsync("ws://127.0.0.1:9", "token", options, default))!;
        Assert.That(e.Message, Does.StartWith("The room could not be joined:"));
    }
}
