using System.Text.Json.Serialization;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>
/// What a conversation would cost if it began now, line by line, and the hold that would be placed for it. Measured and priced by the same code
/// that charges; use that is left out is none.
/// </summary>
internal static class QuoteConversation
{
    private const int MaxDurationS = 86_400;
    private const long MaxQuantity = 100_000_000;
    private const int MaxMonths = 1_200;

    public static void Map(RouteGroupBuilder billing) => billing
        .MapPost("/quote", async (Command command, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(QuoteConversation))
        .Produces<Response>();

    public enum ConversationKind
    {
        /// <summary>On the telephone.</summary>
        Call,

        /// <summary>By voice in a browser.</summary>
        Session,

        /// <summary>In writing.</summary>
        Text,
    }

    /// <param name="Direction">Of a call; outbound when left out.</param>
    /// <param name="Destination">The number that is called, in E.164: the tenant's own one, of a call that comes in. Left out: the price of numbers that have none of their own.</param>
    /// <param name="DurationS">Seconds from the answer to the end, begun ones count; 0 for text.</param>
    /// <param name="SpeechToTextS">Seconds of speech that are recognised.</param>
    /// <param name="TextToSpeechCharacters">Characters that are spoken.</param>
    /// <param name="Messages">Replies in writing.</param>
    /// <param name="RealtimeAudioInputTokens">Of a model that listens and speaks itself; as its provider counts them.</param>
    /// <param name="OwnKey">The models' tokens are used by a key of the tenant's at the provider.</param>
    /// <param name="NumberMonths">Months of having the number at which calls come in.</param>
    public sealed record Command(
        [property: JsonRequired] ConversationKind Kind,
        CallDirection? Direction = null,
        double DurationS = 0,
        bool Recorded = false,
        long SpeechToTextS = 0,
        long TextToSpeechCharacters = 0,
        long LlmInputTokens = 0,
        long LlmCachedInputTokens = 0,
        long LlmOutputTokens = 0,
        long Messages = 0,
        string? Destination = null,
        long RealtimeAudioInputTokens = 0,
        long RealtimeCachedAudioInputTokens = 0,
        long RealtimeAudioOutputTokens = 0,
        bool OwnKey = false,
        int NumberMonths = 0) : ICommand<Response>;

    /// <param name="Amount">Micro-credits: the sum of the lines.</param>
    /// <param name="Unpriced">Components that the rate card has no price for: they would cost nothing.</param>
    public sealed record Response(
        ConversationKind Kind, string RateCard, long Amount, string Unit, IReadOnlyList<ChargeLine> Lines, IReadOnlyList<string> Unpriced, QuotedHold Hold);

    /// <summary>The credits with which such a conversation begins. Raised while it lasts, given back as far as they are not used.</summary>
    /// <param name="Amount">Micro-credits.</param>
    public sealed record QuotedHold(long Amount, IReadOnlyList<ChargeLine> Lines);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(q => q.DurationS).InclusiveBetween(0, MaxDurationS);
            RuleFor(q => q.SpeechToTextS).InclusiveBetween(0, MaxQuantity);
            RuleFor(q => q.TextToSpeechCharacters).InclusiveBetween(0, MaxQuantity);
            RuleFor(q => q.LlmInputTokens).InclusiveBetween(0, MaxQuantity);
            RuleFor(q => q.LlmCachedInputTokens).InclusiveBetween(0, MaxQuantity);
            RuleFor(q => q.LlmOutputTokens).InclusiveBetween(0, MaxQuantity);
            RuleFor(q => q.RealtimeAudioInputTokens).InclusiveBetween(0, MaxQuantity);
            RuleFor(q => q.RealtimeCachedAudioInputTokens).InclusiveBetween(0, MaxQuantity);
            RuleFor(q => q.RealtimeAudioOutputTokens).InclusiveBetween(0, MaxQuantity);
            RuleFor(q => q.Messages).InclusiveBetween(0, MaxQuantity);
            RuleFor(q => q.NumberMonths).InclusiveBetween(0, MaxMonths);
            RuleFor(q => q.Destination).Must(n => n is null || E164.IsValid(n)).WithMessage($"'destination' {E164.Hint}");
            When(q => q.Kind is not ConversationKind.Call, () =>
            {
                RuleFor(q => q.Direction).Null().WithMessage("'direction' is a call's.");
                RuleFor(q => q.Destination).Null().WithMessage("'destination' is a call's.");
                RuleFor(q => q.NumberMonths).Equal(0).WithMessage("'number_months' are of a number that is called.");
            });
            When(q => q.Kind is ConversationKind.Text, () =>
            {
                RuleFor(q => q.DurationS).Equal(0).WithMessage("'duration_s' costs nothing in text.");
                RuleFor(q => q.Recorded).Equal(false).WithMessage("'recorded' is for conversations by voice.");
            });
        }
    }

    internal sealed class Handler(IMediator mediator, Caller caller) : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command request, CancellationToken cancellationToken)
        {
            var channel = new Channel(
                request.Kind is ConversationKind.Text, request.Kind is ConversationKind.Call ? request.Direction ?? CallDirection.Outbound : null, request.Recorded, request.Destination);
            StoredUsage[] usage =
            [
                Of("speech_to_text", "second", request.SpeechToTextS),
                Of("text_to_speech", "character", request.TextToSpeechCharacters),
                OfModel("llm_input", request.LlmInputTokens),
                OfModel("llm_cached_input", request.LlmCachedInputTokens),
                OfModel("llm_output", request.LlmOutputTokens),
                OfModel("realtime_audio_input", request.RealtimeAudioInputTokens),
                OfModel("realtime_cached_audio_input", request.RealtimeCachedAudioInputTokens),
                OfModel("realtime_audio_output", request.RealtimeAudioOutputTokens),
                Of("message", "message", request.Messages),
            ];
            List<Measured> measured =
            [
                .. Pricing.Used(channel, usage, TimeSpan.FromSeconds(request.DurationS)),
                new("number", "month", request.NumberMonths) { Number = request.Direction is CallDirection.Inbound ? request.Destination : null },
            ];
            var used = await mediator.Send(new PriceUse(caller.TenantId, measured), cancellationToken);
            var held = await mediator.Send(new PriceUse(caller.TenantId, Pricing.FirstHold(channel, TimeSpan.MaxValue)), cancellationToken);
            return !used.IsOk ? used.Error
                : !held.IsOk ? held.Error
                : new Response(request.Kind, used.Value.RateCard, used.Value.Amount, Credits.Unit, used.Value.Lines, used.Value.Unpriced, new(held.Value.Amount, held.Value.Lines));

            StoredUsage OfModel(string component, long tokens) => Of(component, "token", tokens) with { OwnKey = request.OwnKey };

            static StoredUsage Of(string component, string unit, long quantity) => new() { Component = component, Provider = "", Model = "", Unit = unit, Quantity = quantity };
        }
    }
}
