using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace VoicePlatform.Agent.Speech;

/// <summary>
/// Has sentences that are sure to come spoken ahead: a greeting is ready before the callee answers. What was not prepared, or could
/// not be, is spoken when it is asked for.
/// </summary>
internal sealed class PreparedVoice(ITextToSpeech voice) : ITextToSpeech
{
    private readonly ConcurrentDictionary<string, IReadOnlyList<ReadOnlyMemory<short>>> _ready = new(StringComparer.Ordinal);

    public string Provider => voice.Provider;

    public string Model => voice.Model;

    /// <summary>Speaks the sentences into memory. Never fails: a voice that cannot is asked again when it is time.</summary>
    public async Task PrepareAsync(IEnumerable<string> sentences, CancellationToken ct)
    {
        foreach (var sentence in sentences)
        {
            try
            {
                var pieces = new List<ReadOnlyMemory<short>>();
                await foreach (var piece in voice.SpeakAsync(sentence, ct))
                {
                    pieces.Add(piece.ToArray());
                }

                _ready[sentence] = pieces;
            }
            catch (Exception e) when (e is ProviderException or OperationCanceledException)
            {
                return;
            }
        }
    }

    public async IAsyncEnumerable<ReadOnlyMemory<short>> SpeakAsync(string text, [EnumeratorCancellation] CancellationToken ct)
    {
        if (_ready.TryRemove(text, out var pieces))
        {
            foreach (var piece in pieces)
            {
                yield return piece;
            }

            yield break;
        }

        await foreach (var piece in voice.SpeakAsync(text, ct))
        {
            yield return piece;
        }
    }
}
