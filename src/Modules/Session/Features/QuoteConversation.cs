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
    /// <param name="DurationS">Seconds from the answer to the end, begun ones count; 0 for text.</param>
    /// <param name="SpeechToTextS">Seconds of speech that are recognised.</param>
    /// <param name="TextToSpeechCharacters">Characters that are spoken.</param>
    /// <param name="Messages">Replies in writing.</param>
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
        long Messages = 0) : ICommand<Response>;

    /// <param name="Amount">Micro-credits: the sum of the lines.</param>
    public sealed record Response(ConversationKind Kind, string RateCard, long Amount, string Unit, IReadOnlyList<ChargeLine> Lines, QuotedHold Hold);

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
            RuleFor(q => q.Messages).InclusiveBetween(0, MaxQuantity);
            RuleFor(q => q.Direction).Null().Unless(q => q.Kind is ConversationKind.Call).WithMessage("'direction' is a call's.");
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
                request.Kind is ConversationKind.Text, request.Kind is ConversationKind.Call ? request.Direction ?? CallDirection.Outbound : null, request.Recorded);
            StoredUsage[] usage =
            [
                Of("speech_to_text", "second", request.SpeechToTextS),
                Of("text_to_speech", "character", request.TextToSpeechCharacters),
                Of("llm_input", "token", request.LlmInputTokens),
                Of("llm_cached_input", "token", request.LlmCachedInputTokens),
                Of("llm_output", "token", request.LlmOutputTokens),
                Of("message", "message", request.Messages),
            ];
            var used = await mediator.Send(new PriceUse(caller.TenantId, Pricing.Used(channel, usage, TimeSpan.FromSeconds(request.DurationS))), cancellationToken);
            var held = await mediator.Send(new PriceUse(caller.TenantId, Pricing.FirstHold(channel, TimeSpan.MaxValue)), cancellationToken);
            return !used.IsOk ? used.Error
                : !held.IsOk ? held.Error
                : new Response(request.Kind, used.Value.RateCard, used.Value.Amount, Credits.Unit, used.Value.Lines, new(held.Value.Amount, held.Value.Lines));

            static StoredUsage Of(string component, string unit, long quantity) => new() { Component = component, Provider = "", Model = "", Unit = unit, Quantity = quantity };
        }
    }
}
