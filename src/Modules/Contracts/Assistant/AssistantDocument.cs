namespace VoicePlatform.Contracts.Assistants;

public enum Architecture { Pipeline, Realtime, HalfCascade, Text }

public enum GreetingMode { Verbatim, Instruction }

public enum TurnDetection { Vad, Stt, Realtime, Manual }

public enum NoiseCancellation { Auto, Telephony, Standard, None }

public enum RecordingChannels { Mixed, Separate }

/// <summary>What to do when an answering machine takes an outbound call.</summary>
public enum VoicemailAction
{
    /// <summary>Talk to it as to anybody: machines are not looked for.</summary>
    None,
    HangUp,

    /// <summary>Say the message after the beep, then hang up.</summary>
    LeaveMessage,
}

/// <summary>
/// How an assistant behaves: the document of one version, as the API shows it, every default filled in. Model descriptors are
/// "provider/model[:voice or language]".
/// </summary>
public record AssistantDocument
{
    public required string Name { get; init; }
    public string Description { get; init; } = "";
    public Architecture Architecture { get; init; } = Architecture.Pipeline;
    public string Prompt { get; init; } = "";
    public IReadOnlyDictionary<string, string> Variables { get; init; } = new Dictionary<string, string>();
    public Greeting Greeting { get; init; } = new();
    public ModelChoice Stt { get; init; } = new();
    public LanguageModelChoice Llm { get; init; } = new();
    public SpeechModelChoice Tts { get; init; } = new();
    public RealtimeModelChoice? Realtime { get; init; }
    public TurnSettings Turn { get; init; } = new();
    public InterruptionSettings Interruption { get; init; } = new();
    public Limits Limits { get; init; } = new();
    public AudioSettings Audio { get; init; } = new();
    public IReadOnlyList<string> Tools { get; init; } = [];
    public RecordingSettings Recording { get; init; } = new();
    public string? EndCallUrl { get; init; }

    /// <summary>What the caller says to end the call ("goodbye"); case and punctuation do not matter.</summary>
    public IReadOnlyList<string> EndCallPhrases { get; init; } = [];
    public VoicemailSettings Voicemail { get; init; } = new();

    /// <summary>What is found out about a conversation when it is over; null: nothing.</summary>
    public AnalysisSettings? Analysis { get; init; }

    /// <summary>
    /// Days after its end for which what was said in a conversation is kept, 1 to 3650: transcript, events, analysis and recording are removed then; times, usage
    /// and cost stay. Null: for good.
    /// </summary>
    public int? RetentionDays { get; init; }
}

public sealed record Greeting
{
    public string Text { get; init; } = "";
    public GreetingMode Mode { get; init; } = GreetingMode.Verbatim;

    /// <summary>Whether the assistant speaks before the caller does.</summary>
    public bool SpeakFirst { get; init; } = true;
}

/// <summary>A model; null means the installation's default.</summary>
public record ModelChoice
{
    public string? Model { get; init; }
    public IReadOnlyDictionary<string, System.Text.Json.JsonElement> Options { get; init; } = new Dictionary<string, System.Text.Json.JsonElement>();

    /// <summary>Models to go on with when this one fails, in order.</summary>
    public IReadOnlyList<string> Fallbacks { get; init; } = [];
}

public sealed record LanguageModelChoice : ModelChoice
{
    /// <summary>0 to 2; null leaves it to the model.</summary>
    public double? Temperature { get; init; }
}

public sealed record SpeechModelChoice : ModelChoice
{
    public string? Language { get; init; }

    /// <summary>0.5 to 2 times the voice's own pace.</summary>
    public double Speed { get; init; } = 1;
}

public sealed record RealtimeModelChoice
{
    public required string Model { get; init; }
    public string? Voice { get; init; }
    public IReadOnlyDictionary<string, System.Text.Json.JsonElement> Options { get; init; } = new Dictionary<string, System.Text.Json.JsonElement>();
}

public sealed record TurnSettings
{
    public TurnDetection Detection { get; init; } = TurnDetection.Vad;

    /// <summary>Seconds of silence that end a turn whose sentence looks finished, 0 to 5.</summary>
    public double MinEndpointingS { get; init; } = 0.5;

    /// <summary>Seconds of silence that end any turn, up to 10.</summary>
    public double MaxEndpointingS { get; init; } = 3.0;

    /// <summary>Generate before the turn is surely over.</summary>
    public bool Preemptive { get; init; }
}

public sealed record InterruptionSettings
{
    public bool Enabled { get; init; } = true;

    /// <summary>Seconds the caller must speak before the assistant stops, 0 to 5.</summary>
    public double MinDurationS { get; init; } = 0.5;

    /// <summary>Words the caller must have said as well; 0 asks for none.</summary>
    public int MinWords { get; init; }

    /// <summary>Seconds after which an interruption without words counts as a mistake, 0 to 10.</summary>
    public double FalseInterruptionTimeoutS { get; init; } = 2.0;

    /// <summary>Whether the assistant goes on where it stopped after such a mistake.</summary>
    public bool Resume { get; init; } = true;
}

public sealed record Limits
{
    /// <summary>Seconds, 10 to 14400.</summary>
    public int MaxDurationS { get; init; } = 1800;

    /// <summary>Seconds of silence before the assistant asks whether the caller is there, 0 (never) to 600.</summary>
    public int IdleRepromptS { get; init; } = 15;

    /// <summary>How often it asks before it ends the conversation, 0 to 10.</summary>
    public int IdleMaxReprompts { get; init; } = 2;
}

public sealed record AudioSettings
{
    public NoiseCancellation NoiseCancellation { get; init; } = NoiseCancellation.Auto;
    public string? Background { get; init; }
    public string? ThinkingSound { get; init; }
}

public sealed record RecordingSettings
{
    public bool Enabled { get; init; }
    public RecordingChannels Channels { get; init; } = RecordingChannels.Mixed;
}

/// <param name="Message">What <see cref="VoicemailAction.LeaveMessage"/> says; {{name}} is replaced from the variables.</param>
public sealed record VoicemailSettings(VoicemailAction Action = VoicemailAction.None, string Message = "");

/// <summary>What a model finds out about a conversation from its transcript.</summary>
public sealed record AnalysisSettings
{
    /// <summary>A few sentences: what it was about, and what came of it.</summary>
    public bool Summary { get; init; } = true;

    /// <summary>When the conversation counts as a success, in words ("The caller has an appointment."); null: that is not judged.</summary>
    public string? Success { get; init; }

    /// <summary>What is to be filled in from what was said; up to 50.</summary>
    public IReadOnlyList<AnalysisField> Fields { get; init; } = [];

    /// <summary>Who finds it out; null: the assistant's own language model.</summary>
    public LanguageModelChoice? Llm { get; init; }
}

public enum AnalysisFieldType { Text, Number, Boolean }

public sealed record AnalysisField
{
    /// <summary>Letters, digits and '_'; once among the fields.</summary>
    public required string Name { get; init; }
    public AnalysisFieldType Type { get; init; } = AnalysisFieldType.Text;

    /// <summary>What is meant, for the model.</summary>
    public string Description { get; init; } = "";

    /// <summary>The values that a text may have; empty: any.</summary>
    public IReadOnlyList<string> Options { get; init; } = [];
}
