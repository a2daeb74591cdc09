using VoicePlatform.Agent.Audio;
using VoicePlatform.Agent.Pipeline;
using VoicePlatform.Tests.Support;

namespace VoicePlatform.Tests.Agent;

/// <summary>What comes out of the line, frame by frame: frame n is full of the value n.</summary>
internal sealed class PlayoutTests
{
    private const int Frames = 60;

    private readonly ManualTime _time = new();
    private readonly List<string> _begun = [];
    private readonly FakeLine _line;
    private readonly Playout _playout;
    private int _frames;

    public PlayoutTests()
    {
        _line = new FakeLine(_time);
        _playout = new Playout(_line, _time, _begun.Add, Task.CompletedTask);
    }

    [Test]
    public async Task Everything_is_played_once_and_in_order()
    {
        await SayAsync("one two three four", Frames);
        await EndAsync(_playout.RunAsync(default));

        Assert.That(_line.Heard, Is.EqualTo(Sequence(1, Frames)));
        Assert.That((_playout.Heard, _begun.Count), Is.EqualTo(("one two three four", 1)));
    }

    [TestCase(0)]
    [TestCase(7)]
    [TestCase(23)]
    public async Task After_a_pause_it_goes_on_with_exactly_what_was_not_heard(int heardFrames)
    {
        await SayAsync("one two three four", Frames);
        var running = _playout.RunAsync(default);
        await HearAsync(heardFrames);

        _playout.Hush();
        Assert.That(_line.Heard, Is.EqualTo(Sequence(1, heardFrames)));
        await PassAsync(TimeSpan.FromSeconds(1));
        Assert.That(_line.Heard, Is.EqualTo(Sequence(1, heardFrames)), "It was not silent while it paused.");
        _playout.GoOn();
        await EndAsync(running);

        Assert.That(_line.Heard, Is.EqualTo(Sequence(1, Frames)));
        Assert.That(_line.FramesAreWhole);
    }

    [Test]
    public async Task A_pause_in_the_middle_of_what_is_said_again_loses_nothing_either()
    {
        await SayAsync("one two three four", Frames);
        var running = _playout.RunAsync(default);
        await HearAsync(12);
        for (var i = 0; i < 5; i++)
        {
            _playout.Hush();
            await PassAsync(TimeSpan.FromMilliseconds(100));
            _playout.GoOn();
            await Settle();
            _time.Advance(TimeSpan.FromMilliseconds(40));
            await Settle();
        }

        await EndAsync(running);

        Assert.That(_line.Heard, Is.EqualTo(Sequence(1, Frames)));
    }

    [Test]
    public async Task A_pause_in_the_last_moment_does_not_end_it()
    {
        await SayAsync("one", 8);
        var running = _playout.RunAsync(default);
        await HearAsync(4);
        _playout.Hush();
        await PassAsync(TimeSpan.FromSeconds(2));
        Assert.That(running.IsCompleted, Is.False);

        _playout.GoOn();
        await EndAsync(running);

        Assert.That(_line.Heard, Is.EqualTo(Sequence(1, 8)));
    }

    [Test]
    public async Task Stopping_is_silence_at_once_and_tells_what_was_heard()
    {
        await SayAsync("one two three four five six", Frames);
        var running = _playout.RunAsync(default);
        await HearAsync(Frames / 2);

        var heard = _playout.Stop();
        await PassAsync(TimeSpan.FromSeconds(1));

        Assert.That(_line.Heard, Is.EqualTo(Sequence(1, Frames / 2)));
        Assert.That(heard, Is.EqualTo("one two three"));
        Assert.That(_playout.Stop(), Is.EqualTo(heard));
        Assert.CatchAsync<OperationCanceledException>(() => running);
    }

    [Test]
    public async Task Stopping_while_it_pauses_keeps_what_was_heard_before_the_pause()
    {
        await SayAsync("one two three four five six", Frames);
        var running = _playout.RunAsync(default);
        await HearAsync(Frames / 2);
        _playout.Hush();
        await PassAsync(TimeSpan.FromSeconds(1));

        Assert.That(_playout.Stop(), Is.EqualTo("one two three"));
        Assert.CatchAsync<OperationCanceledException>(() => running);
    }

    [Test]
    public async Task Stopping_what_was_played_to_its_end_leaves_the_line_to_the_next()
    {
        await SayAsync("one", 5);
        await EndAsync(_playout.RunAsync(default));
        await _line.PlayAsync(Enumerable.Repeat((short)77, Pcm.FrameSamples).ToArray(), default);

        _playout.Stop();
        _time.Advance(TimeSpan.FromMilliseconds(40));

        Assert.That(_line.Heard, Is.EqualTo(Sequence(1, 5).Append((short)77)));
    }

    [Test]
    public async Task A_sentence_that_has_no_audio_was_not_said()
    {
        var audio = await _playout.SayAsync("…", default);
        audio.Complete();
        await SayAsync("two", 5);
        await EndAsync(_playout.RunAsync(default));

        Assert.That((_playout.Heard, _begun.Single()), Is.EqualTo(("two", "two")));
    }

    [Test]
    public async Task Odd_pieces_of_audio_are_put_together_and_the_last_frame_is_filled_with_silence()
    {
        var audio = await _playout.SayAsync("x", default);
        _playout.Complete();
        foreach (var length in new[] { 1, 319, 7, 500 })
        {
            await audio.WriteAsync(Enumerable.Repeat((short)5, length).ToArray());
        }

        audio.Complete();
        await EndAsync(_playout.RunAsync(default));

        Assert.That(_line.Heard, Is.EqualTo(new short[] { 5, 5, 5 }));
    }

    private async Task SayAsync(string text, int frames)
    {
        _frames = frames;
        var audio = await _playout.SayAsync(text, default);
        await audio.WriteAsync(Sequence(1, frames).SelectMany(n => Enumerable.Repeat(n, Pcm.FrameSamples)).ToArray());
        audio.Complete();
        _playout.Complete();
    }

    /// <summary>Until that many frames were heard, and the line is as full as it gets.</summary>
    private async Task HearAsync(int frames)
    {
        await Settle();
        for (var i = 0; i < frames; i++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(Pcm.FrameMs));
            await Settle();
        }

        Assert.That(_line.Heard, Has.Length.EqualTo(frames));
    }

    /// <summary>The line is full and its writer waits, or everything is on the line.</summary>
    private async Task Settle()
    {
        var started = TimeProvider.System.GetTimestamp();
        while (!_line.IsFull && _line.Given < _frames && TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(5))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
        }
    }

    private async Task PassAsync(TimeSpan time)
    {
        for (var passed = TimeSpan.Zero; passed < time; passed += TimeSpan.FromMilliseconds(20))
        {
            _time.Advance(TimeSpan.FromMilliseconds(20));
            await Task.Yield();
        }
    }

    private async Task EndAsync(Task running)
    {
        // Time must not run ahead of what is given to the line: silence between frames would not show, but the end would come too early.
        for (var i = 0; i < 1000 && !running.IsCompleted; i++)
        {
            await Settle();
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
            _time.Advance(TimeSpan.FromMilliseconds(20));
        }

        await running;
    }

    private static short[] Sequence(int from, int count) => [.. Enumerable.Range(from, count).Select(n => (short)n)];
}
