using VoicePlatform.Agent.Audio;
using VoicePlatform.Agent.Pipeline;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Tests.Agent;

internal sealed class ListenerTests
{
    private readonly RecordingEars _ears = new();

    [Test]
    public async Task The_recogniser_gets_each_stretch_of_speech_from_shortly_before_it_was_noticed()
    {
        await using var call = new ScriptedCall();
        var listener = new Listener(call.Conversation, _ears, call.Time);
        for (var i = 0; i < 50; i++)
        {
            await listener.HearAsync(Frame(i % 5), default);
        }

        for (var i = 0; i < 20; i++)
        {
            await listener.HearAsync(Frame(3000), default);
        }

        for (var i = 0; i < 20; i++)
        {
            await listener.HearAsync(Frame(0), default);
        }

        Assert.That(_ears.Log, Is.EqualTo(["begin 1", "end"]));
        Assert.That(_ears.Samples, Is.EqualTo((15 + 1 + 17 + 14) * Pcm.FrameSamples), "300 ms before, the speech, and the pause until it was sure.");
    }

    [Test]
    public async Task Endless_sound_is_cut_into_segments()
    {
        await using var call = new ScriptedCall();
        var listener = new Listener(call.Conversation, _ears, call.Time);
        for (var i = 0; i < 2500; i++)
        {
            await listener.HearAsync(Frame(i < 10 ? 0 : 20_000), default);
        }

        Assert.That(_ears.Log, Is.EqualTo(["begin 1", "end", "begin 2", "end", "begin 3"]));
    }

    [Test]
    public async Task A_track_that_ends_in_the_middle_of_a_word_ends_the_segment_and_the_next_track_starts_anew()
    {
        await using var call = new ScriptedCall();
        var listener = new Listener(call.Conversation, _ears, call.Time);
        for (var n = 0; n < 2; n++)
        {
            using var track = new RemoteAudioStream(new AudioStreamFormat(QueueFrames: 100));
            for (var i = 0; i < 20; i++)
            {
                track.OnSamples(Frame(i < 5 ? 0 : 3000));
            }

            track.OnEnd();
            await listener.RunAsync(track, default);
        }

        Assert.That(_ears.Log, Is.EqualTo(["begin 1", "end", "begin 2", "end"]));
    }

    [Test]
    public async Task Listening_allocates_nothing_while_nothing_changes()
    {
        await using var call = new ScriptedCall();
        var listener = new Listener(call.Conversation, _ears, call.Time);
        var (quiet, loud) = (Frame(0), Frame(3000));
        for (var i = 0; i < 20; i++)
        {
            await listener.HearAsync(i < 10 ? quiet : loud, default);
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        var all = true;
        for (var i = 0; i < 500; i++)
        {
#pragma warning disable CA2012 // Awaiting could move us to another thread, whose allocations would not be counted.
            all &= listener.HearAsync(loud, default).IsCompletedSuccessfully;
#pragma warning restore CA2012
        }

        Assert.That((all, GC.GetAllocatedBytesForCurrentThread() - before), Is.EqualTo((true, 0L)));
    }

    private static short[] Frame(int amplitude) => [.. Enumerable.Range(0, Pcm.FrameSamples).Select(i => (short)(amplitude * Math.Sin(i * 0.2)))];

    private sealed class RecordingEars : IRecogniser
    {
        public List<string> Log { get; } = [];

        public int Samples { get; private set; }

        public UsageTotal Usage => new("speech_to_text", "test", "ears", "second", 0);

        public void Begin(int segment) => Log.Add($"begin {segment}");

        public void Push(ReadOnlySpan<short> samples) => Samples += samples.Length;

        public void End() => Log.Add("end");

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
