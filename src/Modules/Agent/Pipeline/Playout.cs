using System.Threading.Channels;
using VoicePlatform.Agent.Audio;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>
/// Plays the sentences of one reply and knows what of them was heard. It can fall silent and go on where it stopped, or stop for
/// good. The frames of the last moment are kept, because what was queued when it fell silent has to be said again.
/// <code>
/// frames   0 1 2 3 4 5 6 7 8
/// heard    ─────────┘       │       given to the line, and no longer in its queue
/// _given   ───────────────┘ │       given to the line; falling silent sets it back to what was heard
/// _made    ─────────────────┘       what the voice has made so far
/// </code>
/// </summary>
internal sealed class Playout(IAudioOut line, TimeProvider clock, Action<string> sentenceBegins, Task lineIsFree)
{
    private const int SentencesAhead = 4;
    private const int PiecesAhead = 64;
    private const int KeptFrames = 32;                  // 640 ms: more than the line's queue holds
    private const double CharactersASecond = 15;        // where in a sentence a voice is, before its length is known

    private readonly Channel<Sentence> _sentences = Channel.CreateBounded<Sentence>(SentencesAhead);
    private readonly List<Spoken> _spoken = [];
    private readonly short[] _kept = new short[KeptFrames * Pcm.FrameSamples];
    private readonly Lock _lock = new();                // Guards everything below, _spoken, and what is given to the line; never held while waiting.
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _made;
    private long _given;
    private int _filled;
    private long _firstSoundAt;
    private TaskCompletionSource? _hushed;
    private bool _over;

    /// <summary>When the first sound left; null before.</summary>
    public long? FirstSoundAt => Volatile.Read(ref _firstSoundAt) is not 0 and var at ? at : null;

    /// <summary>When it gives nothing to the line any more, nor do those before it.</summary>
    public Task LineIsFree => _done.Task;

    /// <summary>What was heard so far.</summary>
    public string Heard
    {
        get
        {
            lock (_lock)
            {
                return HeardUntil(HeardFrames());
            }
        }
    }

    /// <summary>Puts a sentence in line; its audio is written to what is returned. Waits while enough are in line.</summary>
    public async ValueTask<ChannelWriter<ReadOnlyMemory<short>>> SayAsync(string text, CancellationToken ct)
    {
        var sentence = new Sentence(text, Channel.CreateBounded<ReadOnlyMemory<short>>(PiecesAhead));
        await _sentences.Writer.WriteAsync(sentence, ct);
        return sentence.Audio.Writer;
    }

    /// <summary>Nothing more follows.</summary>
    public void Complete() => _sentences.Writer.TryComplete();

    /// <summary>Ends when all has been played and heard.</summary>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            // A reply that was cut may have a frame that the line has not taken yet, for some milliseconds; the line takes one at a time.
            await lineIsFree;
            await foreach (var sentence in _sentences.Reader.ReadAllAsync(ct))
            {
                await SpeakAsync(sentence, ct);
            }

            // The last of it is still on its way to the caller's ear, and may yet be called back.
            while (await GiveAsync(ct, isLast: true) is { Ticks: > 0 } queued)
            {
                await Task.Delay(queued, clock, ct);
            }
        }
        finally
        {
            _done.TrySetResult();
        }
    }

    /// <summary>Falls silent at once, ready to go on.</summary>
    public void Hush()
    {
        lock (_lock)
        {
            if (_hushed is null && !_over)
            {
                _given = HeardFrames();
                _hushed = new(TaskCreationOptions.RunContinuationsAsynchronously);
                line.Clear();
            }
        }
    }

    /// <summary>Goes on with the first sound that was not heard.</summary>
    public void GoOn()
    {
        lock (_lock)
        {
            _hushed?.TrySetResult();
            _hushed = null;
        }
    }

    /// <summary>Falls silent for good. Answers what was heard.</summary>
    public string Stop()
    {
        lock (_lock)
        {
            if (!_over)
            {
                _given = HeardFrames();
                _over = true;
                line.Clear();
                _hushed?.TrySetResult();
            }

            return HeardUntil(_given);
        }
    }

    private async Task SpeakAsync(Sentence sentence, CancellationToken ct)
    {
        Spoken? spoken = null;
        await foreach (var audio in sentence.Audio.Reader.ReadAllAsync(ct))
        {
            if (audio.IsEmpty)
            {
                continue;
            }

            if (spoken is null)
            {
                lock (_lock)
                {
                    _spoken.Add(spoken = new(sentence, _made));
                }

                sentenceBegins(sentence.Text);
            }

            lock (_lock)
            {
                spoken.Samples += audio.Length;
            }

            for (var rest = audio; rest.Length > 0;)
            {
                var take = Math.Min(rest.Length, Pcm.FrameSamples - _filled);
                rest.Span[..take].CopyTo(NextFrame()[_filled..]);
                rest = rest[take..];
                _filled += take;
                if (_filled == Pcm.FrameSamples)
                {
                    await EndFrameAsync(ct);
                }
            }
        }

        if (_filled > 0)
        {
            NextFrame()[_filled..].Clear();
            await EndFrameAsync(ct);
        }
    }

    private Span<short> NextFrame() => Kept(_made).Span;

    private Memory<short> Kept(long frame) => _kept.AsMemory((int)(frame % KeptFrames) * Pcm.FrameSamples, Pcm.FrameSamples);

    private async ValueTask EndFrameAsync(CancellationToken ct)
    {
        _filled = 0;
        lock (_lock)
        {
            _made++;
        }

        await GiveAsync(ct);
    }

    /// <summary>Gives the line every frame it does not have, waiting while hushed. Answers what then waits in the line; zero: all was heard.</summary>
    private async ValueTask<TimeSpan> GiveAsync(CancellationToken ct, bool isLast = false)
    {
        while (true)
        {
            ValueTask given;
            lock (_lock)
            {
                // Whether it may sound and giving it are one step: no frame slips out after silence was asked for.
                if (_over)
                {
                    throw new OperationCanceledException("The reply was cut.");
                }

                if (_hushed is not null)
                {
                    given = new ValueTask(_hushed.Task.WaitAsync(ct));
                }
                else if (_given < _made)
                {
                    if (_firstSoundAt == 0)
                    {
                        Volatile.Write(ref _firstSoundAt, clock.GetTimestamp() + Ticks(line.Queued));
                    }

                    given = line.PlayAsync(Kept(_given++), ct);
                }
                else
                {
                    // Once heard to its end, stopping it must not touch what the next reply has queued.
                    var queued = line.Queued;
                    _over = isLast && queued <= TimeSpan.Zero;
                    return queued;
                }
            }

            await given;
        }
    }

    private long Ticks(TimeSpan time) => (long)(time.TotalSeconds * clock.TimestampFrequency);

    private long HeardFrames() =>
        _hushed is not null || _over ? _given : _given - Math.Min(_given, Math.Min(KeptFrames - 1, (long)Math.Ceiling(line.Queued.TotalMilliseconds / Pcm.FrameMs)));

    private string HeardUntil(long frame)
    {
        var heard = new List<string>();
        foreach (var s in _spoken)
        {
            var share = (frame - s.StartFrame) / s.Frames;
            if (share >= 1)
            {
                heard.Add(s.Text);
            }
            else if (share > 0)
            {
                // Whole words only: half a word was not understood.
                var upTo = s.Text.LastIndexOf(' ', Math.Min((int)(s.Text.Length * share), s.Text.Length - 1));
                if (upTo > 0)
                {
                    heard.Add(s.Text[..upTo]);
                }
            }
        }

        return string.Join(' ', heard);
    }

    private sealed record Sentence(string Text, Channel<ReadOnlyMemory<short>> Audio);

    /// <summary>A sentence of which something was played.</summary>
    private sealed class Spoken(Sentence sentence, long startFrame)
    {
        public string Text => sentence.Text;

        public long StartFrame => startFrame;

        /// <summary>What the voice has made of it so far.</summary>
        public long Samples { get; set; }

        /// <summary>Its length: as the voice made it, or as it will probably be.</summary>
        public double Frames
        {
            get
            {
                var made = Math.Max(1, Math.Ceiling(Samples / (double)Pcm.FrameSamples));
                return sentence.Audio.Reader.Completion.IsCompleted ? made : Math.Max(made, Text.Length / CharactersASecond * 1000 / Pcm.FrameMs);
            }
        }
    }
}
