using System.Threading.Channels;
using VoicePlatform.Agent.Audio;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>
/// Plays the sentences of one reply and knows what of them was heard. It can fall silent and go on where it stopped, or stop for
/// good. The frames of the last moment are kept, because what was queued when it fell silent has to be said again.
/// </summary>
internal sealed class Playout(IAudioOut line, TimeProvider clock, Action<string> sentenceBegins)
{
    private const int SentencesAhead = 4;
    private const int KeptFrames = 32;                  // 640 ms: more than the line's queue holds
    private const double CharactersASecond = 15;        // where in a sentence a voice is, before its length is known

    private readonly Channel<Sentence> _sentences = Channel.CreateBounded<Sentence>(SentencesAhead);
    private readonly List<Spoken> _spoken = [];
    private readonly short[] _kept = new short[KeptFrames * Pcm.FrameSamples];
    private readonly short[] _frame = new short[Pcm.FrameSamples];
    private readonly Lock _lock = new();                // Guards everything below and _spoken; never held while waiting.
    private long _sentFrames;
    private int _unheardFrames;
    private int _filled;
    private TaskCompletionSource? _hushed;
    private bool _stopped;

    /// <summary>When the first sound left; null before.</summary>
    public long? FirstSoundAt { get; private set; }

    /// <summary>Puts a sentence in line; its audio is written to what is returned. Waits while enough are in line.</summary>
    public async ValueTask<ChannelWriter<ReadOnlyMemory<short>>> SayAsync(string text, CancellationToken ct)
    {
        var sentence = new Sentence(text, Channel.CreateBounded<ReadOnlyMemory<short>>(64));
        await _sentences.Writer.WriteAsync(sentence, ct);
        return sentence.Audio.Writer;
    }

    /// <summary>Nothing more follows.</summary>
    public void Complete() => _sentences.Writer.TryComplete();

    /// <summary>Ends when all has been played.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        await foreach (var sentence in _sentences.Reader.ReadAllAsync(ct))
        {
            Spoken? spoken = null;
            await foreach (var audio in sentence.Audio.Reader.ReadAllAsync(ct))
            {
                if (spoken is null)
                {
                    spoken = new(sentence.Text, _sentFrames);
                    lock (_lock)
                    {
                        _spoken.Add(spoken);
                    }

                    sentenceBegins(sentence.Text);
                }

                for (var rest = audio; rest.Length > 0;)
                {
                    var take = Math.Min(rest.Length, _frame.Length - _filled);
                    rest.Span[..take].CopyTo(_frame.AsSpan(_filled));
                    rest = rest[take..];
                    _filled += take;
                    if (_filled == _frame.Length)
                    {
                        await SendFrameAsync(ct);
                    }
                }
            }

            if (_filled > 0)
            {
                _frame.AsSpan(_filled).Clear();
                await SendFrameAsync(ct);
            }

            if (spoken is not null)
            {
                spoken.EndFrame = _sentFrames;
            }
        }

        // The last of it is still on its way to the caller's ear.
        while (line.Queued > TimeSpan.Zero)
        {
            await AudibleAsync(ct);
            await Task.Delay(line.Queued, clock, ct);
        }
    }

    /// <summary>Falls silent at once, ready to go on.</summary>
    public void Hush()
    {
        lock (_lock)
        {
            if (_hushed is null && !_stopped)
            {
                _hushed = new(TaskCreationOptions.RunContinuationsAsynchronously);
                _unheardFrames = UnheardFrames();
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
            if (!_stopped)
            {
                _unheardFrames = _hushed is null ? UnheardFrames() : _unheardFrames;
                _stopped = true;
                line.Clear();
                _hushed?.TrySetResult();
            }

            return HeardUntil(_sentFrames - _unheardFrames);
        }
    }

    /// <summary>What was heard so far.</summary>
    public string Heard
    {
        get
        {
            lock (_lock)
            {
                return HeardUntil(_sentFrames - (_hushed is null && !_stopped ? UnheardFrames() : _unheardFrames));
            }
        }
    }

    private int UnheardFrames() => (int)Math.Min(Math.Min((long)Math.Ceiling(line.Queued.TotalMilliseconds / Pcm.FrameMs), _sentFrames), KeptFrames);

    private async ValueTask SendFrameAsync(CancellationToken ct)
    {
        _filled = 0;
        await AudibleAsync(ct);
        var at = (int)(_sentFrames % KeptFrames) * Pcm.FrameSamples;
        _frame.CopyTo(_kept.AsSpan(at));
        Interlocked.Increment(ref _sentFrames);
        await line.PlayAsync(_kept.AsMemory(at, Pcm.FrameSamples), ct);
        FirstSoundAt ??= clock.GetTimestamp();
    }

    /// <summary>Waits while hushed, then says again what was queued when silence fell.</summary>
    private async ValueTask AudibleAsync(CancellationToken ct)
    {
        while (true)
        {
            Task? silence;
            int again;
            lock (_lock)
            {
                if (_stopped)
                {
                    throw new OperationCanceledException("The reply was cut.");
                }

                silence = _hushed?.Task;
                again = silence is null ? _unheardFrames : 0;
                if (silence is null)
                {
                    _unheardFrames = 0;
                }
            }

            if (silence is null)
            {
                for (var n = again; n > 0; n--)
                {
                    await line.PlayAsync(_kept.AsMemory((int)((_sentFrames - n) % KeptFrames) * Pcm.FrameSamples, Pcm.FrameSamples), ct);
                }

                return;
            }

            await silence.WaitAsync(ct);
        }
    }

    private string HeardUntil(long frame)
    {
        var heard = new List<string>();
        foreach (var s in _spoken)
        {
            var length = s.EndFrame is { } end ? end - s.StartFrame : (long)(s.Text.Length / CharactersASecond * 1000 / Pcm.FrameMs);
            var share = length <= 0 ? 1 : (frame - s.StartFrame) / (double)length;
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

    private sealed class Spoken(string text, long startFrame)
    {
        public string Text => text;

        public long StartFrame => startFrame;

        public long? EndFrame { get; set; }
    }
}
