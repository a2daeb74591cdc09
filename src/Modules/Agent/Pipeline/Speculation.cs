using System.Runtime.CompilerServices;
using System.Threading.Channels;
using VoicePlatform.Agent.Language;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>
/// An answer that is generated before the caller's turn is surely over. When it is, and nothing more was said, the answer is taken with
/// what there is of it; otherwise it is discarded, and nobody has heard of it.
/// </summary>
#pragma warning disable CA1001 // The source has neither a timer nor a wait handle, so there is nothing to free.
internal sealed class Speculation
#pragma warning restore CA1001
{
    // More than that is not generated in advance.
    private const int PiecesAhead = 64;

    private readonly Channel<Generated> _pieces = Channel.CreateBounded<Generated>(new BoundedChannelOptions(PiecesAhead) { SingleReader = true });
    private readonly CancellationTokenSource _discarded = new();
    private readonly Action<UsageTotal> _used;
    private readonly Task _generating;
    private volatile bool _isTaken;

    /// <param name="used">Told of usage that is in no answer: it was spent, on what was discarded or on an answer that was cut off.</param>
    public Speculation(ILanguageModel mind, Prompt prompt, Action<UsageTotal> used)
    {
        (Text, _used) = (prompt.Text, used);
        _generating = GenerateAsync(mind.AnswerAsync(prompt with { Cut = Tell }, CancellationToken.None));
    }

    /// <summary>What it answers.</summary>
    public string Text { get; }

    /// <summary>The answer, from its beginning. Once, and not after <see cref="DiscardAsync"/>.</summary>
    public async IAsyncEnumerable<Generated> TakeAsync([EnumeratorCancellation] CancellationToken ct)
    {
        _isTaken = true;
        try
        {
            await foreach (var piece in _pieces.Reader.ReadAllAsync(ct))
            {
                yield return piece;
            }
        }
        finally
        {
            await DiscardAsync();
        }
    }

    /// <summary>Stops generating. Never fails.</summary>
    public async Task DiscardAsync()
    {
        await _discarded.CancelAsync();
        await _generating;
        while (_pieces.Reader.TryRead(out var piece))
        {
            if (piece is Generated.Used used)
            {
                Tell(used.Total);
            }
        }
    }

    private void Tell(UsageTotal total) => _used(total with { Discarded = !_isTaken });

    /// <summary>Never fails: a failure is the answer's, if it is taken.</summary>
    private async Task GenerateAsync(IAsyncEnumerable<Generated> answer)
    {
        await Task.Yield();
        try
        {
            await foreach (var piece in answer.WithCancellation(_discarded.Token))
            {
                await _pieces.Writer.WriteAsync(piece, _discarded.Token);
            }

            _pieces.Writer.TryComplete();
        }
        catch (Exception e)
        {
            _pieces.Writer.TryComplete(e);
        }
    }
}
