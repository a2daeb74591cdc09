using System.Text.Json;
using FluentValidation;
using MediatR;
using Microsoft.Extensions.DependencyInjection;

namespace VoicePlatform.SharedKernel;

/// <summary>A request that changes something: it runs in the unit of work, its own or the one it is sent from.</summary>
public interface ICommand;

/// <inheritdoc cref="ICommand"/>
public interface ICommand<T> : ICommand, IRequest<Result<T>>;

/// <summary>Refuses a request that its validators refuse, naming each field as the JSON has it.</summary>
internal sealed class ValidationBehavior<TRequest, TResponse>(IEnumerable<IValidator<TRequest>> validators, UnitOfWork unit)
    : IPipelineBehavior<TRequest, TResponse>
    where TRequest : IRequest<TResponse>
    where TResponse : IFailable<TResponse>
{
    public async Task<TResponse> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TResponse> next)
    {
        // Inside a unit of work the request was validated on its way in, or comes from our own code.
        if (!unit.IsActive)
        {
            foreach (var validator in validators)
            {
                var outcome = await validator.ValidateAsync(request, cancellationToken);
                if (!outcome.IsValid)
                {
                    var fields = outcome.Errors
                        .Select(e => new FieldError(FieldName(e.PropertyName), FieldName((e.ErrorCode ?? "invalid").Replace("Validator", "", StringComparison.Ordinal)), e.ErrorMessage))
                        .ToList();
                    return TResponse.Failed(new Error(ErrorKind.Invalid, "request.invalid", fields[0].Message) { Fields = fields });
                }
            }
        }

        return await next();
    }

    private static string FieldName(string path) => string.Join('.', path.Split('.').Select(JsonNamingPolicy.SnakeCaseLower.ConvertName));
}

/// <summary>A request that acts outside of the database (calls a model, a carrier, LiveKit): it holds no connection while it does.</summary>
public interface IEffect;

/// <summary>Gives the connection back when the first request of a scope is done: nobody's slow reading of an answer keeps one busy.</summary>
internal sealed class ConnectionBehavior<TRequest, TResponse>(UnitOfWork unit) : IPipelineBehavior<TRequest, TResponse>
    where TRequest : IRequest<TResponse>
    where TResponse : IFailable<TResponse>
{
    public async Task<TResponse> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TResponse> next)
    {
        unit.Depth++;
        try
        {
            if (!unit.IsActive)
            {
                await unit.AlignAsync(cancellationToken);
            }

            return await next();
        }
        finally
        {
            if (--unit.Depth == 0)
            {
                await unit.ReleaseAsync();
            }
        }
    }
}

/// <summary>
/// Does a keyed effect once: see <see cref="Idempotency.OnceOutsideAsync"/>. It runs in a scope of its own and to its end, also when who asked has gone:
/// his next request with the key gets the answer.
/// </summary>
internal sealed class EffectBehavior<TRequest, TResponse>(UnitOfWork unit, Caller caller, RequestKey requestKey, Idempotency idempotency, IServiceScopeFactory scopes)
    : IPipelineBehavior<TRequest, TResponse>
    where TRequest : IRequest<TResponse>, IEffect
    where TResponse : IFailable<TResponse>
{
    public async Task<TResponse> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TResponse> next)
    {
        await unit.ReleaseAsync();
        return requestKey.Take() is { } key
            ? await idempotency.OnceOutsideAsync(key, async () =>
            {
                await using var scope = scopes.CreateAsyncScope();
                caller.CopyTo(scope.ServiceProvider.GetRequiredService<Caller>());
                return await scope.ServiceProvider.GetRequiredService<IMediator>().Send(request, CancellationToken.None);
            })
            : await next();
    }
}

/// <summary>
/// The outermost command opens the unit of work, in a scope of its own; commands sent from inside join it. Where the request came with an
/// Idempotency-Key, its answer is stored in the same transaction.
/// </summary>
internal sealed class UnitOfWorkBehavior<TRequest, TResponse>(UnitOfWork unit, Caller caller, Transactions transactions, RequestKey requestKey)
    : IPipelineBehavior<TRequest, TResponse>
    where TRequest : IRequest<TResponse>, ICommand
    where TResponse : IFailable<TResponse>
{
    public async Task<TResponse> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TResponse> next)
    {
        if (!unit.IsActive)
        {
            var key = requestKey.Take();
            return await transactions.RunAsync(
                caller,
                (scope, ct) => key is null
                    ? scope.GetRequiredService<IMediator>().Send(request, ct)
                    : scope.GetRequiredService<Idempotency>().OnceInsideAsync(key, requestKey, () => scope.GetRequiredService<IMediator>().Send(request, ct), ct),
                cancellationToken,
                unit);
        }

        var result = await next();
        if (result.Error is { } error)
        {
            unit.Doomed = error;
        }

        return result;
    }
}
