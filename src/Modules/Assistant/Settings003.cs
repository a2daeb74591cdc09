using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace VoicePlatform.Assistants;

/// <summary>
/// An assistant as seed 003 describes it: OpenAI's realtime model thinks, Cartesia or Sarvam speaks. What is left out stays as it is,
/// or at its default.
/// </summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
internal sealed record Settings003(
    string? AssistantName = null, string? AssistantDescription = null, string? AssistantPrompt = null, string? AssistantTtsModel = null, string? AssistantTtsVoiceId = null,
    string? AssistantTtsSpeaker = null, string? AssistantStartInstruction = null, string? AssistantEndCallUrl = null)
{
    private const string Cartesia = "cartesia";
    private const string Sarvam = "sarvam";
    private const string CartesiaModel = "cartesia/sonic-3";
    private const string SarvamModel = "sarvam/bulbul-v3";
    private const string RealtimeModel = "openai/gpt-4o-realtime-preview";

    /// <summary>cartesia or sarvam, as a document's tts.model says; another provider's name where the assistant was made elsewhere.</summary>
    public static string TtsModelOf(string? descriptor) => (descriptor ?? "local/flite").Split('/')[0];

    /// <summary>What is missing to make an assistant; null when nothing is.</summary>
    public Error? RefusalAsNew() =>
        string.IsNullOrWhiteSpace(AssistantName) ? Needed("assistant_name")
        : string.IsNullOrWhiteSpace(AssistantPrompt) ? Needed("assistant_prompt")
        : AssistantTtsModel is null ? Needed("assistant_tts_model")
        : Refusal(AssistantTtsModel);

    /// <param name="ttsModel">Which voice it has, or is to have.</param>
    public Error? Refusal(string ttsModel) =>
        AssistantTtsModel is not (null or Cartesia or Sarvam) ? Error.Field("assistant_tts_model", "unknown", "'assistant_tts_model' must be cartesia or sarvam.")
        : AssistantTtsModel is Cartesia && string.IsNullOrWhiteSpace(AssistantTtsVoiceId) ? Needed("assistant_tts_voice_id")
        : AssistantTtsModel is Sarvam && string.IsNullOrWhiteSpace(AssistantTtsSpeaker) ? Needed("assistant_tts_speaker")
        : AssistantTtsVoiceId is not null && ttsModel != Cartesia ? Error.Field("assistant_tts_voice_id", "not_cartesia", "'assistant_tts_voice_id' is for cartesia.")
        : AssistantTtsSpeaker is not null && ttsModel != Sarvam ? Error.Field("assistant_tts_speaker", "not_sarvam", "'assistant_tts_speaker' is for sarvam.")
        : !string.IsNullOrEmpty(AssistantEndCallUrl) && !(Uri.TryCreate(AssistantEndCallUrl, UriKind.Absolute, out var url) && url.Scheme is "https" or "http")
            ? Error.Field("assistant_end_call_url", "invalid", "'assistant_end_call_url' must be an absolute http or https URL.")
        : null;

    public JsonElement ToDocument()
    {
        var document = ToPatch(AssistantTtsModel!);
        document["architecture"] = "half_cascade";
        document["realtime"] = new JsonObject { ["model"] = RealtimeModel };
        return JsonSerializer.SerializeToElement(document);
    }

    /// <param name="ttsModel">Which voice it has, or is to have.</param>
    public JsonObject ToPatch(string ttsModel)
    {
        var patch = new JsonObject();
        Set("name", AssistantName);
        Set("description", AssistantDescription);
        Set("prompt", AssistantPrompt);
        if (AssistantStartInstruction is not null)
        {
            patch["greeting"] = new JsonObject { ["text"] = AssistantStartInstruction, ["mode"] = "instruction", ["speak_first"] = true };
        }

        if ((ttsModel == Sarvam ? AssistantTtsSpeaker : AssistantTtsVoiceId) is { } voice)
        {
            patch["tts"] = new JsonObject { ["model"] = $"{(ttsModel == Sarvam ? SarvamModel : CartesiaModel)}:{voice.Trim()}" };
        }

        if (AssistantEndCallUrl is not null)
        {
            patch["end_call_url"] = AssistantEndCallUrl.Length == 0 ? null : JsonValue.Create(AssistantEndCallUrl);
        }

        return patch;

        void Set(string name, string? value)
        {
            if (value is not null)
            {
                patch[name] = value;
            }
        }
    }

    private static Error Needed(string field) => Error.Field(field, "required", $"'{field}' is needed.");
}

/// <summary>What seed 003 is told of an assistant that was made or changed.</summary>
internal sealed record Told003(string AssistantId, string AssistantName, string AssistantTtsModel)
{
    public static Told003 Of(AssistantView view) => new(view.Id, view.Name, Settings003.TtsModelOf(view.Tts.Model));
}
