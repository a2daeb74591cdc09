using System.Runtime.CompilerServices;
using VoicePlatform.Agent.Speech;

namespace VoicePlatform.Agent.Language;

/// <summary>
/// Asks the next model when one fails, or is silent for too long, before its first word. After that the answer has been heard in
/// part: a failure, or a silence for too long, is the answer's failure.
/// </summary>
/// <param name="firstTokenTimeout">For the first word.</param>
/// <param name="idleTimeout">Between two pieces, from then on. Only the model's own time counts, not that of a slow listener.</param>
/// <param name="failed">Told of each model that was given up.</param>
internal sealed class FallbackModel(
    IReadOnlyList<ILanguageModel> models, TimeSpan firstTokenTimeout, TimeSpan idleTimeout, TimeProvider clock, Action<ProviderException> failed) : ILanguageModel
{
    public string Provider => models[0].Provider;

    public string Model => models[0].Model;

    public async IAsyncEnumerable<Generated> AnswerAsync(Prompt prompt, [EnumeratorCancellation] CancellationToken ct)
    {
        for (var i = 0; ; i++)
        {
            using var patience = new CancellationTokenSource(Timeout.InfiniteTimeSpan, clock);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, patience.Token);
            await using var answer = models[i].AnswerAsync(prompt, either.Token).GetAsyncEnumerator(either.Token);
            var started = false;
            while (true)
            {
                var (any, error) = await NextAsync(models[i], answer, patience, started ? idleTimeout : firstTokenTimeout, ct);
                if (error is not null && (started || i + 1 == models.Count))
                {
                    throw error;
                }

                if (error is not null)
                {
                    failed(error);
                    break;
                }

                if (!any)
                {
                    yield break;
                }

                // Usage is no word: it is told, and another model may still answer.
                started |= answer.Current is not Generated.Used;
                yield return answer.Current;
            }
        }
    }

    private static async ValueTask<(bool Any, ProviderException? Error)> NextAsync(
        ILanguageModel model, IAsyncEnumerator<Generated> answer, CancellationTokenSource patience, TimeSpan limit, CancellationToken ct)
    {
        patience.CancelAfter(limit);
        try
        {
            return (await answer.MoveNextAsync(), null);
        }
        catch (ProviderException e)
        {
            return (false, e);
        }
        catch (OperationCanceledException e) when (!ct.IsCancellationRequested && patience.IsCancellationRequested)
        {
            return (false, new ProviderException(model.Provider, $"{model.Provider}/{model.Model} said nothing for {limit.TotalSeconds:0} s.", retryable: true, e));
        }
        finally
        {
            // The listener's time is not the model's. Too late if it has just run out: then the next piece fails, which is as true.
            patience.CancelAfter(Timeout.InfiniteTimeSpan);
        }
    }
}
