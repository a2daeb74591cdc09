using System.Runtime.CompilerServices;
using VoicePlatform.Agent.Speech;

namespace VoicePlatform.Agent.Language;

/// <summary>
/// Asks the next model when one fails, or is silent for too long, before its first word. After that the answer has been heard in
/// part, and a failure is a failure.
/// </summary>
internal sealed class FallbackModel(IReadOnlyList<ILanguageModel> models, TimeSpan firstTokenTimeout, TimeProvider clock, Action<ProviderException> failed) : ILanguageModel
{
    public string Provider => models[0].Provider;

    public string Model => models[0].Model;

    public async IAsyncEnumerable<Generated> AnswerAsync(Prompt prompt, [EnumeratorCancellation] CancellationToken ct)
    {
        for (var i = 0; ; i++)
        {
            using var patience = new CancellationTokenSource(firstTokenTimeout, clock);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, patience.Token);
            await using var answer = models[i].AnswerAsync(prompt, either.Token).GetAsyncEnumerator(either.Token);
            bool any;
            try
            {
                any = await answer.MoveNextAsync();
                patience.CancelAfter(Timeout.InfiniteTimeSpan);
            }
            catch (Exception e) when (!ct.IsCancellationRequested && e is ProviderException or OperationCanceledException)
            {
                var error = e as ProviderException
                    ?? new ProviderException(models[i].Provider, $"{models[i].Provider}/{models[i].Model} said nothing for {firstTokenTimeout.TotalSeconds:0} s.", retryable: true, e);
                failed(error);
                if (i + 1 < models.Count)
                {
                    continue;
                }

                throw error;
            }

            while (any)
            {
                yield return answer.Current;
                any = await answer.MoveNextAsync();
            }

            yield break;
        }
    }
}
