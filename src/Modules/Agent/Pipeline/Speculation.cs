using System.Runtime.CompilerServices;
using System.Threading.Channels;
using VoicePlatform.Agent.Language;

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
    private readonly Action<Generated.Used> _wasted;
    private readonly Task _generating;

    /// <param name="text">What it answers.</param>
    /// <param name="wasted">Told of usage if it is discarded: it was spent, and no answer came of it.</param>
    public Speculation(string text, IAsyncEnumerable<Generated> answer, Action<Generated.Used> wasted)
    {
        (Text, _wasted) = (text, wasted);
        _generating = GenerateAsync(answer);
    }

    public string Text { get; }

    /// <summary>The answer, from its beginning. Once, and not after <see cref="DiscardAsync"/>.</summary>
    public async IAsyncEnumerable<Generated> TakeAsync([EnumeratorCancellation] CancellationToken ct)
    {
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
                _wasted(used);
            }
        }
    }

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
