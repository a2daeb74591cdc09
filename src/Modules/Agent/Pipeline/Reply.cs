using System.Threading.Channels;
using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>What a reply is told while it runs, on its own tasks.</summary>
internal interface IReplyObserver
{
    void SentenceBegins(Reply reply, string sentence);

    void Used(UsageTotal usage);

    void Ended(Reply reply, Exception? error);
}

/// <summary>
/// One answer: generated, cut into sentences, spoken and played, each stage as soon as the one before has something. It has its own
/// cancellation; cutting it keeps only what was heard.
/// </summary>
internal sealed class Reply : IAsyncDisposable
{
    private readonly CancellationTokenSource _cut = new();
    private readonly Playout _playout;
    private readonly TimeProvider _clock;
    private readonly IReplyObserver _observer;
    private readonly Task _running;
    private Task _cutting = Task.CompletedTask;
    private long _firstTokenAt;
    private long _firstSentenceAt;
    private long _firstAudioAt;
    private volatile string? _transferTo;

    /// <param name="lineIsFree">When the reply before this one gives nothing to the line any more.</param>
    public Reply(int turn, IAsyncEnumerable<Generated> answer, ITextToSpeech voice, IAudioOut line, TimeProvider clock, IReplyObserver observer, Task lineIsFree)
    {
        (Turn, _clock, _observer) = (turn, clock, observer);
        StartedAt = clock.GetTimestamp();
        _playout = new Playout(line, clock, sentence => observer.SentenceBegins(this, sentence), lineIsFree);
        _running = RunAsync(answer, voice);
    }

    public int Turn { get; }

    public long StartedAt { get; }

    /// <summary>The first text; null before.</summary>
    public long? FirstTokenAt => Known(ref _firstTokenAt);

    /// <summary>The first sentence was complete; null before.</summary>
    public long? FirstSentenceAt => Known(ref _firstSentenceAt);

    /// <summary>The first audio of it was there; null before.</summary>
    public long? FirstAudioAt => Known(ref _firstAudioAt);

    public long? FirstSoundAt => _playout.FirstSoundAt;

    /// <summary>The model wants the conversation to end after this.</summary>
    public bool EndsConversation { get; private set; }

    /// <summary>Where the caller is to be handed over to after this.</summary>
    public string? TransferTo => _transferTo;

    /// <summary>When this one and those before give nothing to the line any more.</summary>
    public Task LineIsFree => _playout.LineIsFree;

    public string Heard => _playout.Heard;

    public void Hush() => _playout.Hush();

    public void GoOn() => _playout.GoOn();

    /// <summary>Silence at once. Answers what was heard.</summary>
    public string Cut()
    {
        var heard = _playout.Stop();
        if (!_cut.IsCancellationRequested)
        {
            // Elsewhere: what the stages do when they are cancelled, posting included, must not run inside the caller.
            _cutting = _cut.CancelAsync();
        }

        return heard;
    }

    public async ValueTask DisposeAsync()
    {
        Cut();
        await _cutting;
        await _running;
        _cut.Dispose();
    }

    /// <summary>A fixed text as an answer.</summary>
    public static async IAsyncEnumerable<Generated> Fixed(string text)
    {
        await Task.CompletedTask;
        yield return new Generated.Text(text);
    }

    /// <summary>Never fails: the observer is told how it ended.</summary>
    private async Task RunAsync(IAsyncEnumerable<Generated> answer, ITextToSpeech voice)
    {
        await Task.Yield();
        var sentences = Channel.CreateBounded<string>(8);
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(_cut.Token);
        var stages = new[] { GenerateAsync(answer, sentences.Writer, failed.Token), SpeakAsync(sentences.Reader, voice, failed.Token), _playout.RunAsync(failed.Token) };
        Exception? error = null;
        await foreach (var stage in Task.WhenEach(stages))
        {
            if (!stage.IsCompletedSuccessfully && !_cut.IsCancellationRequested)
            {
                error ??= stage.Exception?.InnerException ?? new OperationCanceledException();
                await failed.CancelAsync();
            }
        }

        _observer.Ended(this, error);
    }

    private async Task GenerateAsync(IAsyncEnumerable<Generated> answer, ChannelWriter<string> sentences, CancellationToken ct)
    {
        var splitter = new SentenceSplitter();
        await foreach (var piece in answer.WithCancellation(ct))
        {
            switch (piece)
            {
                case Generated.Text text:
                    Note(ref _firstTokenAt);
                    foreach (var sentence in splitter.Push(text.Piece))
                    {
                        await SendAsync(sentence);
                    }

                    break;
                case Generated.Used used:
                    _observer.Used(used.Total with { Turn = Turn });
                    break;
                case Generated.Transfer transfer:
                    _transferTo = transfer.To;
                    break;
                case Generated.EndConversation:
                    EndsConversation = true;
                    break;
            }
        }

        if (splitter.Flush() is { } last)
        {
            await SendAsync(last);
        }

        sentences.Complete();

        ValueTask SendAsync(string sentence)
        {
            Note(ref _firstSentenceAt);
            return sentences.WriteAsync(sentence, ct);
        }
    }

    private async Task SpeakAsync(ChannelReader<string> sentences, ITextToSpeech voice, CancellationToken ct)
    {
        await foreach (var sentence in sentences.ReadAllAsync(ct))
        {
            var audio = await _playout.SayAsync(sentence, ct);
            _observer.Used(new UsageTotal("text_to_speech", voice.Provider, voice.Model, "character", sentence.Length) { Turn = Turn });
            await foreach (var piece in voice.SpeakAsync(sentence, ct))
            {
                Note(ref _firstAudioAt);
                await audio.WriteAsync(piece, ct);
            }

            audio.Complete();
        }

        _playout.Complete();
    }

    private void Note(ref long moment) => Interlocked.CompareExchange(ref moment, _clock.GetTimestamp(), 0);

    private static long? Known(ref long moment) => Interlocked.Read(ref moment) is not 0 and var at ? at : null;
}
