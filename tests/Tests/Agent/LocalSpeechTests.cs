using System.Threading.Channels;
using VoicePlatform.Agent.Audio;
using VoicePlatform.Agent.Providers.Flite;
using VoicePlatform.Agent.Providers.PocketSphinx;
using VoicePlatform.Agent.Speech;

namespace VoicePlatform.Tests.Agent;

/// <summary>The real libraries: what flite says, PocketSphinx understands.</summary>
internal sealed class LocalSpeechTests
{
    // One for all, as in the host: the library keeps state of its own.
    private static readonly Lazy<FliteSpeech> Speech = new(() => new FliteSpeech());

    private static FliteSpeech Flite => Speech.Value;

    [OneTimeTearDown]
    public static void End()
    {
        if (Speech.IsValueCreated)
        {
            Speech.Value.Dispose();
        }
    }

    [SetUp]
    public void NeedsLibraries()
    {
        if ((FliteSpeech.Missing() ?? PocketSphinxSpeech.Missing()) is { } missing)
        {
            Assert.Ignore(missing);
        }
    }

    [Test]
    public async Task What_one_says_the_other_understands()
    {
        using var sphinx = new PocketSphinxSpeech(1, TimeProvider.System);
        var heard = Channel.CreateBounded<Transcription>(100);
        await using var recogniser = sphinx.Open(t => heard.Writer.TryWrite(t));
        foreach (var (segment, sentence) in new[] { (1, "what are your opening hours"), (2, "can you tell me my name") })
        {
            recogniser.Begin(segment);
            recogniser.Push(new short[Pcm.SampleRate / 5]);
            recogniser.Push(await SpeakAsync(sentence));
            recogniser.Push(new short[Pcm.SampleRate / 5]);
            recogniser.End();

            var partials = 0;
            Transcription last;
            while ((last = await heard.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(60))) is Transcription.Partial)
            {
                partials++;
            }

            Assert.That(((Transcription.Final)last).Text, Is.EqualTo(sentence));
            Assert.That((last.Segment, partials), Is.EqualTo((segment, partials)));
            Assert.That(partials, Is.GreaterThan(0), "Barge-in needs words before the end.");
        }

        Assert.That(recogniser.Usage.Quantity, Is.InRange(3, 6), "seconds");
    }

    [Test]
    public async Task A_sentence_begins_at_once_and_ends_with_a_pause()
    {
        foreach (var voice in FliteSpeech.Voices)
        {
            var audio = await SpeakAsync("We are open from nine to ten.", voice);

            Assert.That(Array.FindIndex(audio, s => Math.Abs((int)s) >= 150), Is.InRange(0, 320), $"{voice}: 20 ms");
            Assert.That(audio.Length - 1 - Array.FindLastIndex(audio, s => Math.Abs((int)s) >= 150), Is.InRange(0, 2400), $"{voice}: 150 ms");
            Assert.That(audio, Has.Length.GreaterThan(Pcm.SampleRate), voice);
        }
    }

    [TestCase("")]
    [TestCase("…")]
    [TestCase("👋🏽 “Grüße” — naïve\0 \u0007 ﷽")]
    [TestCase("%s%s%n <speak> & \\ \"")]
    public async Task Whatever_is_to_be_said_does_no_harm(string text)
    {
        await SpeakAsync(text);

        Assert.That(await SpeakAsync("hello"), Is.Not.Empty);
    }

    [Test]
    public async Task Many_speak_at_once()
    {
        var all = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => SpeakAsync("one two three")));

        Assert.That(all.Select(a => a.Length), Has.All.EqualTo(all[0].Length).Within(10).Percent, "It is never quite the same twice.");
    }

    [Test]
    public async Task A_cancelled_sentence_is_not_spoken()
    {
        using var cut = new CancellationTokenSource();
        await cut.CancelAsync();

        Assert.CatchAsync<OperationCanceledException>(async () => await Flite.Voice("slt", 1).SpeakAsync("hello", cut.Token).ToListAsync(cut.Token));
    }

    private static async Task<short[]> SpeakAsync(string text, string voice = "rms") =>
        [.. (await Flite.Voice(voice, 1).SpeakAsync(text, default).ToListAsync()).SelectMany(piece => piece.ToArray())];

    [Test]
    public void Decoders_come_and_go_beside_others_that_work()
    {
        // The library has state that all decoders share: this took the process down when each brought a log file of its own.
        var noise = new short[16_000];
        new Random(1).NextBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(noise.AsSpan()));
        // On threads of their own: those of the pool are everybody's.
        Task.WaitAll(Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(
            () =>
            {
                for (var n = 0; n < 2; n++)
                {
                    using var decoder = new PocketSphinxDecoder();
                    decoder.Start();
                    decoder.Process(noise);
                    decoder.Finish();
                }
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
    }
}
