using System.Runtime.CompilerServices;

namespace VoicePlatform.Agent.Speech;

/// <summary>
/// Has the next voice speak a sentence when one fails, or is silent for too long, before the sentence's first sound. After that the
/// sentence has been heard in part, and its failure is a failure.
/// </summary>
/// <param name="timeout">For each piece of audio.</param>
/// <param name="failed">Told of each voice that was given up.</param>
internal sealed class FallbackVoice(IReadOnlyList<ITextToSpeech> voices, TimeSpan timeout, TimeProvider clock, Action<ProviderException> failed) : ITextToSpeech
{
    public string Provider => voices[0].Provider;

    public string Model => voices[0].Model;

    public async IAsyncEnumerable<ReadOnlyMemory<short>> SpeakAsync(string text, [EnumeratorCancellation] CancellationToken ct)
    {
        for (var i = 0; ; i++)
        {
            using var patience = new CancellationTokenSource(Timeout.InfiniteTimeSpan, clock);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, patience.Token);
            await using var audio = voices[i].SpeakAsync(text, either.Token).GetAsyncEnumerator(either.Token);
            var started = false;
            while (true)
            {
                var (any, error) = await NextAsync(voices[i], audio, patience, ct);
                if (error is not null && (started || i + 1 == voices.Count))
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

                started = true;
                yield return audio.Current;
            }
        }
    }

    private async ValueTask<(bool Any, ProviderException? Error)> NextAsync(
        ITextToSpeech voice, IAsyncEnumerator<ReadOnlyMemory<short>> audio, CancellationTokenSource patience, CancellationToken ct)
    {
        patience.CancelAfter(timeout);
        try
        {
            return (await audio.MoveNextAsync(), null);
        }
        catch (ProviderException e)
        {
            return (false, e);
        }
        catch (OperationCanceledException e) when (!ct.IsCancellationRequested && patience.IsCancellationRequested)
        {
            return (false, new ProviderException(voice.Provider, $"{voice.Provider}/{voice.Model} was silent for {timeout.TotalSeconds:0} s.", retryable: true, e));
        }
        finally
        {
            patience.CancelAfter(Timeout.InfiniteTimeSpan);
        }
    }
}
